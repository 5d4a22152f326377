// A program relies on the rule that open returns the lowest free number, as shells do: it closes 0 and opens another
// file. Runs with libfaultline-preload.so preloaded, and without. Meanwhile the library works in the background: it
// evicts, reads back, measures memory, and starts its threads in children of fork.
#include "counted_checks.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// NOLINTBEGIN
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kBytes = std::size_t{64} << 20;

unsigned char* memory = nullptr;
std::size_t next_page = 0;

/// Uses another page of memory that does not fit the limit.
void use_a_page() {
    next_page = (next_page + 7919) % (kBytes / kPage);
    ++memory[next_page * kPage];
}

/// Takes memory that the library does not manage, so that it measures more often.
void grow() {
    constexpr std::size_t kStep = std::size_t{256} << 10;
    void* const more = mmap(nullptr, kStep, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (more != MAP_FAILED) std::memset(more, 1, kStep);
}

void replace_standard_input(int times) {
    int wrong = 0;
    for (int i = 0; i < times; ++i) {
        close(0);
        if (i % 8 == 0) use_a_page();
        const int got = open("/dev/null", O_RDONLY);
        if (got == 0) continue;
        ++wrong;
        dup2(got, 0);
        close(got);
    }
    if (wrong > 0) std::printf("process %d: %d of %d times another number than 0\n", getpid(), wrong, times);
    CHECK(wrong == 0);
}

/// A child of fork, in which the library starts its threads when memory is used.
void replace_in_child(int depth) {
    const pid_t child = fork();
    if (child == 0) {
        failures = 0;
        replace_standard_input(2000);
        if (depth > 0) replace_in_child(depth - 1);
        fflush(stdout);
        _exit(failures == 0 ? 0 : 1);
    }
    replace_standard_input(2000);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

}  // namespace

int main() {
    memory = static_cast<unsigned char*>(std::malloc(kBytes));
    for (int round = 0; round < 16; ++round) {
        replace_standard_input(4000);
        grow();
    }
    for (int i = 0; i < 8; ++i) replace_in_child(1);
    if (failures == 0) std::puts("all right");
    return failures == 0 ? 0 : 1;
}
// NOLINTEND
