// A library that is preloaded behind faultline's, and interposes one of the same functions, is called.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#define CHECK(...)                                                                         \
    do {                                                                                   \
        if (!(__VA_ARGS__)) {                                                              \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            std::abort();                                                                  \
        }                                                                                  \
    } while (false)

int main() {
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "letters", 7) == 7);
    char found[8] = {};
    CHECK(read(ends[0], &found[0], sizeof found) == 7);
    CHECK(std::strcmp(&found[0], "LETTERS") == 0);
    return 0;
}
