// Stack overflows and other faults in a program that handles them as Rust's standard library does. Its handler runs on
// an alternate stack. For an overflow it prints a message once and aborts. For any other fault it resets the action to
// the default and returns. The message and the signal that ends the process must be the same with and without the
// preload.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

// NOLINTBEGIN: written like a program that does not know faultline
namespace {

int failures = 0;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kReach = std::size_t{256} << 10;  // a fault this near to the stack's end is an overflow
const char kSaid[] = "has overflowed its stack\n";

thread_local std::uintptr_t lowest_of_stack;
bool aborts = true;

void on_fault(int signal, siginfo_t* info, void*) {
    const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    const bool is_overflow = at < lowest_of_stack + kReach && at + kReach > lowest_of_stack;
    if (is_overflow) {
        static_cast<void>(!write(2, kSaid, sizeof kSaid - 1));
        if (aborts) std::abort();
    }
    std::signal(signal, SIG_DFL);
}

/// Gives the thread the alternate stack that Rust's threads have: of the smallest size, above a guard page.
void prepare_thread() {
    pthread_attr_t attributes;
    void* low = nullptr;
    std::size_t bytes = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
    lowest_of_stack = reinterpret_cast<std::uintptr_t>(low);
    const std::size_t least = static_cast<std::size_t>(sysconf(_SC_MINSIGSTKSZ)) + 8192;
    const std::size_t all = (least + 2 * kPage - 1) / kPage * kPage;
    auto* const map =
        static_cast<char*>(mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(map, kPage, PROT_NONE);
    stack_t stack{};
    stack.ss_sp = map + kPage;
    stack.ss_size = all - kPage;
    sigaltstack(&stack, nullptr);
}

constexpr std::size_t kNoEnd = ~std::size_t{0};  // deeper than any stack

/// Recurses without end and allocates a block at each level, so that heap pages are evicted and filled on the way.
[[gnu::noinline]] std::size_t descend(std::size_t depth) {
    volatile char frame[1024];
    frame[depth % sizeof frame] = 1;
    char* volatile block = static_cast<char*>(malloc(64));
    *block = 1;
    const std::size_t below = depth < kNoEnd ? descend(depth + 1) : 0;
    return below + static_cast<std::size_t>(frame[depth % sizeof frame]) + static_cast<std::size_t>(*block);
}

void overflow() { std::printf("%zu\n", descend(0)); }
void access_wildly() { *reinterpret_cast<volatile int*>(std::uintptr_t{8}) = 1; }

struct End {
    int status = 0;
    std::string said;
};

/// Runs `end` in a child, on its main thread or on another one. Returns how the child ended and what it wrote to
/// standard error.
End in_child(void (*end)(), bool on_thread) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) std::abort();
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], 2);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        struct sigaction action {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, nullptr);
        sigaction(SIGBUS, &action, nullptr);
        const auto run = [&] {
            prepare_thread();
            end();
        };
        on_thread ? std::thread{run}.join() : run();
        _exit(1);
    }
    close(pipe_ends[1]);
    End found;
    char buffer[256];
    for (ssize_t got; (got = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
        found.said.append(buffer, static_cast<std::size_t>(got));
    }
    close(pipe_ends[0]);
    if (waitpid(child, &found.status, 0) != child) std::abort();
    return found;
}

void expect(const char* what, void (*end)(), const char* said, int signal) {
    for (const bool on_thread : {false, true}) {
        const End found = in_child(end, on_thread);
        if (found.said == said && WIFSIGNALED(found.status) && WTERMSIG(found.status) == signal) continue;
        std::printf("%s, %s: status %x, said '%s'\n", what, on_thread ? "thread" : "main thread", found.status,
                    found.said.c_str());
        ++failures;
    }
}

}  // namespace
// NOLINTEND

int main() {
    expect("overflow that aborts", overflow, kSaid, SIGABRT);
    aborts = false;
    expect("overflow that is left to the default action", overflow, kSaid, SIGSEGV);
    expect("wild access", access_wildly, "", SIGSEGV);
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
