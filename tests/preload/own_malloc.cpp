// A program with its own allocator in the executable, like one that links jemalloc statically. Runs with
// libfaultline-preload.so preloaded, and without. Prints `all right` at the end.

#include "own_malloc.hpp"

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

template <typename T>
T opaque(T value) {
    asm volatile("" : "+r"(value) : : "memory");
    return value;
}

}  // namespace

// NOLINTBEGIN
int main() {
    free(opaque(strdup("made by strdup")));
    free(opaque(strndup("made by strndup", 4)));
    char* text = nullptr;
    if (asprintf(&text, "made by %s", "asprintf") < 0) return 1;
    free(text);
    free(opaque(reallocarray(opaque(strdup("grown")), 100, 10)));
    delete opaque(new int{5});
    free(opaque(::operator new(100)));
    delete[] opaque(new std::string[20]);
    ::operator delete(opaque(malloc(10)));
    std::vector<std::string> many;
    for (int i = 0; i < 1000; ++i) many.push_back("a string that is not short: " + std::to_string(i));
    std::thread{[] { free(opaque(strdup("in a thread"))); }}.join();
    if (std::system("exit 3") >> 8 != 3) return 1;
    std::puts("all right");
}
// NOLINTEND
