// A program that is linked with a shared allocator (linked_allocator.cpp) and mixes malloc with the allocator's
// non-standard functions, as users of jemalloc do. Runs with libfaultline-preload.so preloaded, and without.

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// NOLINTBEGIN
extern "C" {
void* mallocx(std::size_t bytes, int flags);
void* rallocx(void* block, std::size_t bytes, int flags);
std::size_t xallocx(void* block, std::size_t bytes, std::size_t extra, int flags);
std::size_t sallocx(const void* block, int flags);
void dallocx(void* block, int flags);
void sdallocx(void* block, std::size_t bytes, int flags);
}

namespace {

#define CHECK(...)                                                                      \
    do {                                                                                \
        if (!(__VA_ARGS__)) {                                                           \
            std::printf("%s:%d: check failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            std::exit(1);                                                               \
        }                                                                               \
    } while (false)

constexpr int kArena1 = 2 << 20;

template <typename T>
T opaque(T value) {
    asm volatile("" : "+r"(value) : : "memory");
    return value;
}

/// Passes a block from malloc or mallocx to each function of the allocator, and frees it.
void use(void* made) {
    auto* block = static_cast<char*>(made);
    std::strcpy(block, "text");
    CHECK(sallocx(block, 0) >= 100 && malloc_usable_size(block) >= 100);
    CHECK(xallocx(block, 100, 0, 0) >= 100);
    block = static_cast<char*>(rallocx(block, 50'000, 0));
    CHECK(std::strcmp(block, "text") == 0);
    block = static_cast<char*>(std::realloc(block, 90'000));
    CHECK(std::strcmp(block, "text") == 0);
    sdallocx(block, 90'000, 0);
}

/// The child of a fork can allocate, although the allocator's fork handlers lock it.
void fork_and_allocate() {
    char* const shared = strcpy(opaque(static_cast<char*>(std::malloc(50'000))), "of the parent");
    const pid_t child = fork();
    if (child == 0) {
        use(opaque(std::malloc(100)));
        use(mallocx(100, kArena1));
        _exit(std::strcmp(shared, "of the parent") == 0 ? 3 : 4);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    std::free(shared);
}

}  // namespace

int main() {
    use(opaque(std::malloc(100)));
    use(opaque(std::calloc(10, 10)));
    use(mallocx(100, 0));
    use(mallocx(100, kArena1));
    dallocx(opaque(std::malloc(100)), 0);
    std::free(mallocx(100, 0));
    std::free(mallocx(100, kArena1));
    dallocx(opaque(strdup("made by strdup")), 0);
    auto* const zeros = static_cast<char*>(mallocx(5000, 0x40));
    CHECK(std::all_of(zeros, zeros + 5000, [](char c) { return c == 0; }));
    std::free(zeros);
    fork_and_allocate();
}
// NOLINTEND
