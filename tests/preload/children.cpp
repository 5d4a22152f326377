// Threads and processes that an unmodified program starts: threads of the C library, children that share its memory,
// children of fork; and changes of the program's own ids. Runs with libfaultline-preload.so preloaded, and without.
// Prints each check that fails and exits with 1.

#include "preload/early_handlers.hpp"

#include <aio.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <netdb.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

// NOLINTBEGIN: tests the C library's functions
extern "C" int capset(cap_user_header_t header, const cap_user_data_t data);

namespace {

int failures = 0;

#define CHECK(...)                                                                      \
    do {                                                                                \
        if (!(__VA_ARGS__)) {                                                           \
            std::printf("%s:%d: check failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            ++failures;                                                                 \
        }                                                                               \
    } while (false)

constexpr uid_t kNobody = 65534;
constexpr std::size_t kBytes = 200'000;

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{3} << 20;
    static auto* const much = static_cast<unsigned char*>(malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += 4096) much[i] = static_cast<unsigned char>(much[i] + 1);
}

template <typename T>
T* somewhere(std::size_t count = 1) {
    return static_cast<T*>(calloc(count, sizeof(T)));
}

char* text(const char* what) {
    char* const copy = somewhere<char>(std::strlen(what) + 1);
    return std::strcpy(copy, what);
}

int exit_code_of(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Runs `body` in a child of fork. Returns whether it returned true there.
template <typename Body>
bool holds_in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    return exit_code_of(child) == 0;
}

// ---- threads that the C library starts

sem_t called;
bool was_right = false;

/// Reads all pages of a block, with the signals blocked that the C library blocks in its threads.
void look(sigval value) {
    const auto* const block = static_cast<const char*>(value.sival_ptr);
    was_right = std::all_of(block, block + kBytes, [](char c) { return c == 'x'; });
    sem_post(&called);
}

sigevent looking_at(char* block) {
    std::memset(block, 'x', kBytes);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = &look;
    event.sigev_value.sival_ptr = block;
    return event;
}

bool looked() {
    while (sem_wait(&called) != 0) {
    }
    return std::exchange(was_right, false);
}

void timers() {
    sigevent event = looking_at(somewhere<char>(kBytes));
    timer_t timer{};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    for (int turn = 0; turn < 2; ++turn) {
        push_out();
        const itimerspec soon{{0, 0}, {0, 1'000'000}};
        CHECK(timer_settime(timer, 0, &soon, nullptr) == 0);
        CHECK(looked());
    }
    timer_delete(timer);
}

void asynchronous_io() {
    std::FILE* const file = std::tmpfile();
    const std::string content(kBytes, 'y');
    CHECK(std::fwrite(content.data(), 1, kBytes, file) == kBytes && std::fflush(file) == 0);
    auto* const request = somewhere<aiocb>();
    auto* const into = somewhere<char>(kBytes);
    request->aio_fildes = fileno(file);
    request->aio_buf = into;
    request->aio_nbytes = kBytes;
    request->aio_sigevent = looking_at(somewhere<char>(kBytes));
    push_out();
    CHECK(aio_read(request) == 0);
    CHECK(looked());
    CHECK(aio_error(request) == 0 && aio_return(request) == static_cast<ssize_t>(kBytes));
    CHECK(std::memcmp(into, content.data(), kBytes) == 0);
    std::fclose(file);
}

void names() {
    auto* const request = somewhere<gaicb>();
    auto* const hints = somewhere<addrinfo>();
    hints->ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    request->ar_name = text("127.0.0.1");
    request->ar_service = text("80");
    request->ar_request = hints;
    auto** const list = somewhere<gaicb*>();
    *list = request;
    sigevent event = looking_at(somewhere<char>(kBytes));
    push_out();
    CHECK(getaddrinfo_a(GAI_NOWAIT, list, 1, &event) == 0);
    CHECK(looked());
    CHECK(gai_error(request) == 0 && request->ar_result != nullptr);
}

void message_queues() {
    mq_attr attributes{};
    attributes.mq_maxmsg = 2;
    attributes.mq_msgsize = 16;
    const std::string name = "/faultline-" + std::to_string(getpid());
    const mqd_t queue = mq_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (queue < 0) return;  // this kernel has no message queues
    mq_unlink(name.c_str());
    sigevent event = looking_at(somewhere<char>(kBytes));
    CHECK(mq_notify(queue, &event) == 0);
    push_out();
    CHECK(mq_send(queue, "x", 1, 0) == 0);
    CHECK(looked());
    mq_close(queue);
}

// ---- children that share memory

void on_signal(int) {}

struct Job {
    char path[16] = "/bin/sh";
    char* arguments[4];
};

Job* job_that_exits_with(const char* code) {
    auto* const job = new Job;
    job->arguments[0] = text("sh");
    job->arguments[1] = text("-c");
    job->arguments[2] = text((std::string{"exit "} + code).c_str());
    job->arguments[3] = nullptr;
    return job;
}

void children_of_vfork_that_reset_signals() {
    signal(SIGBUS, &on_signal);
    signal(SIGSEGV, &on_signal);
    Job* const job = job_that_exits_with("7");
    for (int turn = 0; turn < 3; ++turn) {
        push_out();
        const pid_t child = vfork();
        if (child == 0) {
            struct sigaction now {};
            for (const int each : {SIGBUS, SIGSEGV}) {
                signal(each, SIG_DFL);
                if (sigaction(each, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) _exit(1);
            }
            if (std::strcmp(job->path, "/bin/sh") != 0) _exit(2);
            execv(job->path, job->arguments);
            _exit(3);
        }
        CHECK(exit_code_of(child) == 7);
        struct sigaction still {};
        CHECK(sigaction(SIGBUS, nullptr, &still) == 0 && still.sa_handler == &on_signal);
        CHECK(sigaction(SIGSEGV, nullptr, &still) == 0 && still.sa_handler == &on_signal);
    }
    signal(SIGBUS, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
}

void children_of_vfork_that_make_children() {
    Job* const job = job_that_exits_with("8");
    push_out();
    const pid_t child = vfork();
    if (child == 0) {
        const pid_t grandchild = vfork();
        if (grandchild == 0) {
            execv(job->path, job->arguments);
            _exit(1);
        }
        _exit(exit_code_of(grandchild) + (std::strcmp(job->path, "/bin/sh") == 0 ? 1 : 0));
    }
    CHECK(exit_code_of(child) == 9);
}

/// Debuggers start programs so. Their children make more calls and use memory before the exec.
void children_of_vfork_that_are_traced() {
    Job* const job = job_that_exits_with("6");
    push_out();
    const pid_t child = vfork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(1);
        signal(SIGHUP, SIG_DFL);
        if (std::strcmp(job->path, "/bin/sh") != 0) _exit(2);
        execl("/nowhere/sh", "sh", nullptr);
        execv(job->path, job->arguments);
        _exit(3);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    for (int signal = 0; WIFSTOPPED(status); signal = WSTOPSIG(status)) {
        if (ptrace(PTRACE_CONT, child, 0, signal) != 0 || waitpid(child, &status, 0) != child) break;
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

void spawned_children() {
    Job* const job = job_that_exits_with("7");
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    // The child searches PATH in an environment that lies in managed memory.
    char** const before = environ;
    std::size_t count = 0;
    while (before[count] != nullptr) ++count;
    environ = somewhere<char*>(count + 1);
    for (std::size_t i = 0; i < count; ++i) environ[i] = text(before[i]);
    push_out();
    pid_t child = 0;
    CHECK(posix_spawnp(&child, "sh", nullptr, &attributes, job->arguments, environ) == 0);
    CHECK(exit_code_of(child) == 7);
    push_out();
    CHECK(WEXITSTATUS(system("exit 9")) == 9);
    push_out();
    std::FILE* const said = popen("echo said", "r");
    char line[16] = {};
    CHECK(said != nullptr && std::fgets(line, sizeof line, said) != nullptr && std::strcmp(line, "said\n") == 0);
    CHECK(pclose(said) == 0);
    environ = before;
}

// ---- fork, and the process's ids

void fork_handlers_of_a_library_that_began_first() {
    auto* const bytes = somewhere<unsigned char>(kBytes);
    const auto all_are = [&](unsigned char value) {
        return std::all_of(bytes, bytes + kBytes, [value](unsigned char byte) { return byte == value; });
    };
    push_out();
    touch_at_forks(bytes, kBytes);
    CHECK(holds_in_child([&] { return all_are(2); }));
    CHECK(all_are(2));
    touch_at_forks(nullptr, 0);
}

/// Does what setpriv does: changes the user first, and then the groups with capabilities that only the calling thread
/// has kept.
bool become_nobody_first_and_change_groups_then() {
    if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setresuid(kNobody, kNobody, kNobody) != 0) return false;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    if (syscall(SYS_capget, &header, data) != 0) return false;
    for (auto& word : data) word.effective = word.permitted;
    return capset(&header, data) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 && setgroups(0, nullptr) == 0;
}

void users_and_groups() {
    auto* const content = somewhere<char>(kBytes);
    std::memset(content, 'x', kBytes);
    const auto is_right = [&] { return std::all_of(content, content + kBytes, [](char c) { return c == 'x'; }); };
    push_out();
    CHECK(holds_in_child([&] {
        if (getuid() != 0) return setresuid(getuid(), getuid(), getuid()) == 0 && is_right();
        return become_nobody_first_and_change_groups_then() && is_right() && getuid() == kNobody;
    }));
    CHECK(holds_in_child([&] {
        if (getuid() != 0) return setgid(getgid()) == 0 && setuid(getuid()) == 0 && holds_in_child(is_right);
        auto* const groups = somewhere<gid_t>(2);
        groups[0] = kNobody;
        groups[1] = 1;
        push_out();
        if (setgroups(2, groups) != 0 || getgroups(0, nullptr) != 2) return false;
        if (initgroups("nobody", kNobody) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) return false;
        push_out();
        return is_right() && holds_in_child(is_right);
    }));
}

/// The kernel permits CLONE_NEWUSER only in a process with a single thread.
void user_namespaces() {
    auto* const content = text("content");
    push_out();
    CHECK(holds_in_child([&] {
        if (unshare(CLONE_NEWUSER) != 0 && errno != EPERM && errno != ENOSPC) return false;
        push_out();
        return std::strcmp(content, "content") == 0;
    }));
}

}  // namespace
// NOLINTEND

/// Runs all cases, or only the one that the first argument names.
int main(int count, char** arguments) {
    alarm(300);
    sem_init(&called, 0, 0);
    constexpr std::pair<const char*, void (*)()> kAll[] = {
        {"timers", timers},
        {"asynchronous I/O", asynchronous_io},
        {"names", names},
        {"message queues", message_queues},
        {"children of vfork that reset signals", children_of_vfork_that_reset_signals},
        {"children of vfork that make children", children_of_vfork_that_make_children},
        {"children of vfork that are traced", children_of_vfork_that_are_traced},
        {"spawned children", spawned_children},
        {"fork handlers of a library loaded earlier", fork_handlers_of_a_library_that_began_first},
        {"users and groups", users_and_groups},
        {"user namespaces", user_namespaces},
    };
    for (const auto& [name, test] : kAll) {
        if (count > 1 && std::strcmp(name, arguments[1]) != 0) continue;
        const int before = failures;
        test();
        std::printf("%s: %s\n", name, failures == before ? "ok" : "FAILED");
        std::fflush(stdout);
    }
    return failures == 0 ? 0 : 1;
}
