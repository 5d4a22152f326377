// A static program: it loads no library. Run by the launcher, under a limit that is a fraction of its memory.
// Checks its memory, threads, signals, forks and programs that it starts against what it has computed itself.
//
//     preload_static_program          all checks
//     preload_static_program child    what the program starts: exits with 7 if its memory is right

#include <asm/prctl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "wrong: %s\n", what);
    std::abort();
}

std::uint64_t value_of(std::uint64_t seed, std::size_t index) { return (seed + index) * 0x9e37'79b9'7f4a'7c15; }

/// Fills and reads memory of several times the limit.
void check_memory(std::uint64_t seed, std::size_t words) {
    std::vector<std::uint64_t> memory(words);
    for (std::size_t i = 0; i < words; ++i) memory[i] = value_of(seed, i);
    for (std::size_t i = 0; i < words; ++i) check(memory[i] == value_of(seed, i), "a word of memory");
}

thread_local volatile int own_signals = 0;
thread_local sigjmp_buf after_fault;
volatile sig_atomic_t all_signals = 0;

void count(int) {
    own_signals = own_signals + 1;
    all_signals = all_signals + 1;
}

void leave_fault(int, siginfo_t* info, void*) {
    check(info->si_addr == reinterpret_cast<void*>(16), "the address of a fault");
    siglongjmp(after_fault, 1);
}

void handle(int signal, void (*plain)(int), void (*full)(int, siginfo_t*, void*)) {
    struct sigaction action {};
    action.sa_flags = SA_RESTART | (full != nullptr ? SA_SIGINFO : 0);
    if (full != nullptr) {
        action.sa_sigaction = full;
    } else {
        action.sa_handler = plain;
    }
    check(::sigaction(signal, &action, nullptr) == 0, "sigaction");
}

void check_own_fault() {
    static int* volatile nowhere = reinterpret_cast<int*>(16);
    if (sigsetjmp(after_fault, 1) == 0) {
        *const_cast<volatile int*>(nowhere) = 1;
        check(false, "a wild write has no effect");
    }
}

void check_threads() {
    std::array<std::thread, 8> threads;
    std::array<std::uint64_t, 8> results{};
    for (std::size_t i = 0; i < threads.size(); ++i) {
        threads[i] = std::thread{[&results, i] {
            check(own_signals == 0, "a new thread's storage");
            ::pthread_kill(::pthread_self(), SIGUSR1);
            check(own_signals == 1, "a signal to the own thread");
            check_memory(i, 1U << 15);
            check_own_fault();
            results[i] = i + 1;
        }};
    }
    for (std::size_t i = 0; i < threads.size(); ++i) {
        threads[i].join();
        check(results[i] == i + 1, "a thread's result");
    }
}

/// The owner of a robust mutex ends: the next thread learns of it.
void check_robust_mutex() {
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&mutex, &attributes);
    std::thread{[&mutex] { check(::pthread_mutex_lock(&mutex) == 0, "the first lock of a robust mutex"); }}.join();
    check(::pthread_mutex_lock(&mutex) == EOWNERDEAD, "the lock of a robust mutex whose owner has ended");
    ::pthread_mutex_consistent(&mutex);
    ::pthread_mutex_unlock(&mutex);
}

int code_of(pid_t child) {
    int status = 0;
    check(::waitpid(child, &status, 0) == child, "waitpid");
    check(WIFEXITED(status), "a child exits");
    return WEXITSTATUS(status);
}

void check_fork() {
    std::vector<std::uint64_t> memory(1U << 18);
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = value_of(5, i);
    const pid_t child = ::fork();
    if (child == 0) {
        for (std::size_t i = 0; i < memory.size(); ++i) check(memory[i] == value_of(5, i), "memory in a child");
        check_threads();
        ::_exit(9);
    }
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = 0;
    check(code_of(child) == 9, "the code of a child");
}

void check_started(const char* path, const char* name) {
    const pid_t child = ::vfork();
    if (child == 0) {
        ::execl(path, name, "child", nullptr);
        ::_exit(1);
    }
    check(code_of(child) == 7, "the code of a started program");
}

/// The kernel reads and writes memory that is not resident.
void check_calls() {
    std::vector<std::uint64_t> memory(1U << 18);
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = value_of(3, i);
    const int file = ::open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    if (file < 0) return;
    const auto bytes = static_cast<ssize_t>(memory.size() * sizeof memory[0]);
    check(::pwrite(file, memory.data(), memory.size() * sizeof memory[0], 0) == bytes, "a large write");
    std::memset(memory.data(), 0, memory.size() * sizeof memory[0]);
    check(::pread(file, memory.data(), memory.size() * sizeof memory[0], 0) == bytes, "a large read");
    for (std::size_t i = 0; i < memory.size(); ++i) check(memory[i] == value_of(3, i), "a word of a file");
    ::close(file);
}

/// Calls that the library answers by itself, with a pointer to closed memory.
void check_bad_pointers() {
    constexpr std::size_t kPage = 4096;
    void* const closed = ::mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto fails = [](long result) { return result == -1 && errno == EFAULT; };
    check(fails(::syscall(SYS_arch_prctl, ARCH_GET_FS, closed)), "arch_prctl to closed memory");
    check(fails(::syscall(SYS_clone3, closed, 88)), "clone3 from closed memory");
    check(fails(::syscall(SYS_readlink, "/proc/self/exe", closed, kPage)), "readlink to closed memory");
    check(fails(::syscall(SYS_rt_sigprocmask, SIG_BLOCK, closed, nullptr, 8)), "a signal mask in closed memory");
    check(fails(::syscall(SYS_execve, closed, nullptr, nullptr)), "a path in closed memory");
    check(::munmap(closed, kPage) == 0, "munmap of closed memory");
}

std::string own_path() {
    std::array<char, 4096> path{};
    const ssize_t bytes = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    check(bytes > 0, "the link to the own file");
    return path.data();
}

}  // namespace

int main(int count_of_arguments, char**) {
    if (count_of_arguments > 1) {
        check_memory(2, 1U << 17);
        return 7;
    }
    check(std::getenv("FAULTLINE_PROGRAM") == nullptr, "the environment");
    const std::string path = own_path();
    check(path.substr(path.rfind('/') + 1) == "preload_static_program", "the name of the own file");
    handle(SIGUSR1, &count, nullptr);
    handle(SIGSEGV, nullptr, &leave_fault);
    check_memory(1, 1U << 19);
    check_calls();
    check_bad_pointers();
    check_own_fault();
    check_threads();
    check_robust_mutex();
    check_fork();
    check_started(path.c_str(), "by its path");
    check_started("/proc/self/exe", "by the link");
    check(all_signals == 8, "the number of signals");
    std::puts("all right");
    return 0;
}
