// preload_costs: what libfaultline-preload.so adds to the cost of a program's calls. The program does not use
// faultline: run it with and without LD_PRELOAD and compare the output. See docs/preload.md.
//
//     preload_costs [--smoke]
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr int kRounds = 5;

/// Prints the time of one call of `act` in microseconds, the median over the rounds.
template <typename Act>
void measure(const char* what, int calls, Act act) {
    std::vector<double> rounds;
    for (int round = 0; round < kRounds; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < calls; ++i) act();
        const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
        rounds.push_back(taken.count() / calls);
    }
    std::sort(rounds.begin(), rounds.end());
    std::printf("%-36s %10.3f us\n", what, rounds[kRounds / 2]);
}

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

void wait_for(pid_t child) {
    if (child < 0) fail("preload_costs: cannot fork");
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) fail("preload_costs: a child has failed");
}

}  // namespace

int main(int count, char** arguments) {
    const bool smoke = count > 1 && std::strcmp(arguments[1], "--smoke") == 0;
    if (count > 1 && std::strcmp(arguments[1], "--nothing") == 0)
        return 0;  // the child that this program starts to measure process creation
    const int many = smoke ? 1000 : 200'000;
    const int few = smoke ? 1 : 20;

    measure("malloc and free of 48 bytes", many * 10, [] {
        void* volatile block = std::malloc(48);
        std::free(block);
    });
    measure("a bare system call that does nothing", many, [] { ::syscall(SYS_getppid); });

    const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    void* const into = std::malloc(64);
    if (zeros < 0 || into == nullptr) fail("preload_costs: cannot read zeros");
    measure("read of 64 bytes into a block", many, [&] {
        if (::read(zeros, into, 64) != 64) fail("preload_costs: read");
    });
    measure("the same as a bare system call", many, [&] {
        if (::syscall(SYS_read, zeros, into, 64) != 64) fail("preload_costs: read");
    });
    char on_stack[64];
    measure("read of 64 bytes to the stack", many, [&] {
        if (::read(zeros, &on_stack[0], sizeof on_stack) != 64) fail("preload_costs: read");
    });
    std::free(into);
    ::close(zeros);

    measure("fork, and the child's end", few, [] {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(0);
        wait_for(child);
    });
    measure("a program's beginning and end", few, [] {
        const pid_t child = ::vfork();
        if (child == 0) {
            ::execl("/proc/self/exe", "preload_costs", "--nothing", nullptr);
            ::_exit(1);
        }
        wait_for(child);
    });
}
