// c_interface PART: checks what <faultline/faultline.h> promises, in C99. Exits with 0 if all checks of the part hold,
// 1 if not, 2 for an unknown part, 77 if the kernel refuses the delivery.
#include "c_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

void check_one(int holds, const char* what, const char* file, int line) {
    if (holds) return;
    ++failures;
    fprintf(stderr, "%s:%d: does not hold: %s (errno %d, \"%s\")\n", file, line, what, errno,
            faultline_error_message());
}

void check_refused(int failed, int expected, const char* what, const char* file, int line) {
    const int error = errno;
    const size_t name_length = strcspn(what, "(");  // the message begins with the function's name
    if (failed && error == expected && strncmp(faultline_error_message(), what, name_length) == 0 &&
        faultline_error_message()[name_length] == ':') {
        return;
    }
    ++failures;
    fprintf(stderr, "%s:%d: %s: expected to fail with \"%s\" and a message; %s, errno \"%s\", message \"%s\"\n", file,
            line, what, strerror(expected), failed ? "failed" : "did not fail", strerror(error),
            faultline_error_message());
}

void check_said(const char* text, const char* file, int line) {
    if (strcmp(faultline_error_message(), text) == 0) return;
    ++failures;
    fprintf(stderr, "%s:%d: expected the message \"%s\", not \"%s\"\n", file, line, text, faultline_error_message());
}

faultline_pager* small_pager(size_t limit) {
    faultline_config config = {.size = sizeof config,
                               .resident_limit = limit,
                               .flags = FAULTLINE_NO_BACKGROUND_EVICTOR | FAULTLINE_NO_READ_AHEAD};
    faultline_pager* const pager = faultline_pager_create(&config);
    if (pager == NULL) {
        const int error = errno;
        fprintf(stderr, "%s\n", faultline_error_message());
        exit(error == EPERM || error == ENOSYS ? 77 : 1);
    }
    return pager;
}

uint64_t draw(void) {
    static uint64_t state = 20260726;  // xorshift64
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void fill(void* memory, size_t bytes, uint64_t seed) {
    unsigned char* const at = memory;
    for (size_t i = 0; i < bytes; ++i) at[i] = (unsigned char)((seed + i) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

faultline_stats region_stats(const faultline_region* region) {
    faultline_stats stats = {.size = sizeof stats};
    CHECK(faultline_region_get_stats(region, &stats) == 0);
    return stats;
}

int main(int argc, char** argv) {
    static const struct {
        const char* name;
        void (*run)(void);
    } kParts[] = {{"structs", test_structs}, {"messages", test_messages}, {"pager", test_pager},
                  {"region", test_region},   {"heap", test_heap},         {"stack", test_stack},
                  {"io", test_io},           {"tables", test_tables}};
    for (size_t i = 0; argc == 2 && i < sizeof kParts / sizeof kParts[0]; ++i) {
        if (strcmp(argv[1], kParts[i].name) != 0) continue;
        kParts[i].run();
        return failures == 0 ? 0 : 1;
    }
    fprintf(stderr, "usage: c_interface structs|messages|pager|region|heap|stack|io|tables\n");
    return 2;
}
