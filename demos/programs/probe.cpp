// probe: uses memory, signals and descriptors as programs do, and prints the results. run_elf_check.sh runs it inside
// and outside an address space and compares the output. It is linked statically, once for a fixed address and once
// position independent.
#include <fcntl.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kPage = 4096;

thread_local int of_this_thread = 42;
volatile sig_atomic_t handled = 0;
sigjmp_buf back;

void say(const char* what, long value) { std::printf("%-44s %ld\n", what, value); }

/// Returns the errno of a failed call, or 0.
long failed(bool failure) { return failure ? errno : 0; }

void on_alarm(int) {
    const int before = errno;
    handled = handled + 1;
    // A handler may make system calls, also while it interrupts one.
    static_cast<void>(::getppid());
    static_cast<void>(::write(-1, "", 0));
    errno = before;
}
void on_user(int signal) {
    handled = handled + 1;
    if (signal == SIGUSR1) ::raise(SIGUSR2);
}
void on_violation(int, siginfo_t* info, void*) { siglongjmp(back, info->si_signo == SIGSEGV ? 1 : 2); }

void handle(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigfillset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
}

/// Sets a repeating timer, so that no signal can come too early; 0 stops it.
void every(long microseconds) {
    itimerval timer{};
    timer.it_value.tv_usec = timer.it_interval.tv_usec = microseconds;
    ::setitimer(ITIMER_REAL, &timer, nullptr);
}

void arguments(int argc, char** argv) {
    say("argc", argc);
    for (int i = 1; i < argc; ++i) std::printf("argument %s\n", argv[i]);
    const char* const variable = std::getenv("PROBE_VARIABLE");
    std::printf("variable %s\n", variable != nullptr ? variable : "(none)");
    say("page size", static_cast<long>(::getauxval(AT_PAGESZ)));
    say("program headers", static_cast<long>(::getauxval(AT_PHNUM)));
    say("executable's name is argv[0]",
        std::strcmp(reinterpret_cast<const char*>(::getauxval(AT_EXECFN)), argv[0]) == 0 ? 1 : 0);
    say("thread-local", of_this_thread);
}

void memory() {
    std::vector<std::string> many;
    for (int i = 0; i < 6'000; ++i)
        many.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 90), 'x'));
    std::size_t letters = 0;
    for (const std::string& text : many) letters += text.size();
    say("letters", static_cast<long>(letters));

    auto* grown = static_cast<char*>(std::malloc(1 << 20));  // large enough that malloc maps it
    std::memset(grown, 'g', 1 << 20);
    grown = static_cast<char*>(std::realloc(grown, 3 << 20));
    say("realloc keeps the last byte", grown[(1 << 20) - 1]);
    std::free(grown);

    auto* const map =
        static_cast<char*>(::mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(map, 'm', 8 * kPage);
    say("madvise", failed(::madvise(map + kPage, kPage, MADV_DONTNEED) != 0));
    say("given back, it is", map[kPage]);
    say("munmap of the middle", failed(::munmap(map + 2 * kPage, kPage) != 0));
    say("mprotect over the gap", failed(::mprotect(map, 8 * kPage, PROT_READ) != 0));
    say("write(2) of the gap", failed(::write(1, map + 2 * kPage, 1) < 0));
    say("munmap of all", failed(::munmap(map, 8 * kPage) != 0));

    volatile char deep[200'000];  // the stack grows
    for (std::size_t i = 0; i < sizeof deep; i += kPage) deep[i] = static_cast<char>(i / kPage);
    say("deep", deep[40 * kPage]);
}

void files() {
    char name[] = "/var/tmp/probe-XXXXXX";
    const int fd = ::mkstemp(name);
    ::unlink(name);
    std::vector<char> bytes(20 * kPage, 'f');
    say("write", ::write(fd, bytes.data(), bytes.size()));
    auto* const absent =
        static_cast<char*>(::mmap(nullptr, 20 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    say("pread into absent pages", ::pread(fd, absent, 20 * kPage, 0));
    say("the last of them", absent[20 * kPage - 1]);
    auto* const own = static_cast<char*>(::mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    own[5] = 'o';
    auto* const shared = static_cast<char*>(::mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    shared[6] = 's';
    say("msync", failed(::msync(shared, 4 * kPage, MS_SYNC) != 0));
    char seen[8] = {};
    say("pread", ::pread(fd, seen, 7, 0));
    std::printf("the file has %s, the private mapping %.6s\n", seen, own);
    ::close(fd);
    say("closed, and still mapped", shared[6]);
    say("close_range", failed(::syscall(SYS_close_range, 3, ~0U, 0) != 0));
}

void signals() {
    handle(SIGALRM, &on_alarm);
    every(2000);
    say("pause", failed(::pause() != 0));
    const timespec long_enough{50, 0};
    say("nanosleep", failed(::nanosleep(&long_enough, nullptr) != 0));

    sigset_t all;
    sigfillset(&all);
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &all, &before);
    sigset_t now;
    ::sigprocmask(SIG_BLOCK, nullptr, &now);
    say("SIGSYS is blocked", sigismember(&now, SIGSYS));
    sigset_t but_alarm = all;
    sigdelset(&but_alarm, SIGALRM);
    say("sigsuspend", failed(::sigsuspend(&but_alarm) != 0));
    say("ppoll", failed(::ppoll(nullptr, 0, nullptr, &but_alarm) != 0));
    say("pselect", failed(::pselect(0, nullptr, nullptr, nullptr, nullptr, &but_alarm) != 0));
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    every(0);
    say("alarms were handled", handled >= 5 ? 1 : 0);
    handled = 0;

    handle(SIGUSR1, &on_user);
    handle(SIGUSR2, &on_user);
    ::raise(SIGUSR1);
    say("and others", handled);
    struct sigaction was {};
    ::sigaction(SIGUSR1, nullptr, &was);
    say("the handler is as it was set", was.sa_handler == &on_user ? 1 : 0);

    struct sigaction violation {};
    violation.sa_sigaction = &on_violation;
    violation.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &violation, nullptr);
    volatile int* nothing = nullptr;
    if (sigsetjmp(back, 1) == 0) *nothing = 1;
    say("a violation was handled", 1);
}

/// Signals arrive at any moment, inside and between system calls, and their handlers make system calls.
void storm() {
    struct sigaction action {};
    action.sa_handler = &on_alarm;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGALRM, &action, nullptr);
    handled = 0;
    every(200);
    int pipe[2];
    if (::pipe(pipe) != 0) return;
    long wrong = 0;
    std::vector<unsigned char> sent(3 * kPage);
    std::vector<unsigned char> got(sent.size());
    for (unsigned round = 0; round < 500 || (handled < 20 && round < 1'000'000); ++round) {
        std::memset(sent.data(), static_cast<int>(round), sent.size());
        auto* const fresh = static_cast<unsigned char*>(
            ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        fresh[round % kPage] = static_cast<unsigned char>(round);
        if (::write(pipe[1], sent.data(), sent.size()) != static_cast<ssize_t>(sent.size())) ++wrong;
        if (::read(pipe[0], got.data(), got.size()) != static_cast<ssize_t>(got.size()) || got != sent) ++wrong;
        if (fresh[round % kPage] != static_cast<unsigned char>(round) || ::munmap(fresh, kPage) != 0) ++wrong;
    }
    every(0);
    say("wrong in a storm of signals", wrong);
    say("which there was", handled >= 20 ? 1 : 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

/// Checks that system calls and signals preserve registers.
void registers() {
    double sum = 0;
    for (int i = 0; i < 1000; ++i) {
        sum += i * 0.25;
        if (::getppid() < 0) return;
        if (i % 100 == 0) ::raise(SIGUSR2);
    }
    say("sum, times four", static_cast<long>(sum * 4));
    errno = 0;
    say("errno is one's own", ::close(-1) == -1 && errno == EBADF ? 1 : 0);
    timespec first{};
    timespec then{};
    ::clock_gettime(CLOCK_MONOTONIC, &first);
    ::clock_gettime(CLOCK_MONOTONIC, &then);
    say("time goes on", then.tv_sec > first.tv_sec || (then.tv_sec == first.tv_sec && then.tv_nsec >= first.tv_nsec));
    try {
        throw std::runtime_error{"thrown"};
    } catch (const std::exception& error) {
        std::printf("caught what was %s\n", error.what());
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--violate") == 0) {
        std::fflush(stdout);
        volatile int* nothing = nullptr;
        *nothing = 1;
    }
    if (argc == 2 && std::strcmp(argv[1], "--overflow") == 0) {
        volatile char* const low = static_cast<char*>(__builtin_frame_address(0)) - (std::size_t{9} << 20);
        *low = 1;
    }
    if (argc == 2 && std::strcmp(argv[1], "--fork") == 0) {
        say("fork", failed(::fork() < 0));
        say("clone", failed(::syscall(SYS_clone3, nullptr, 0) < 0));
        say("execve", failed(::execl("/bin/true", "true", nullptr) < 0));
        return 0;
    }
    arguments(argc, argv);
    memory();
    files();
    signals();
    storm();
    registers();
    memory();
    return 7;
}
