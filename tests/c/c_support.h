// What the parts of this program share: checks that count, a pager with little memory, and numbers to fill memory with.
// C99 and POSIX; it sees nothing of faultline but <faultline/faultline.h>.
#ifndef FAULTLINE_TESTS_C_SUPPORT_H
#define FAULTLINE_TESTS_C_SUPPORT_H

#include <faultline/faultline.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/// Counts and prints a condition that does not hold. Goes on.
#define CHECK(condition) check_one((condition) != 0, #condition, __FILE__, __LINE__)

/// The same for a call that must fail with -1, or with NULL, and this errno; it must say why.
#define CHECK_REFUSED(call, expected) check_refused((errno = 0, (call) == -1), (expected), #call, __FILE__, __LINE__)
#define CHECK_REFUSED_NULL(call, expected) \
    check_refused((errno = 0, (call) == NULL), (expected), #call, __FILE__, __LINE__)

/// The text of faultline_error_message().
#define CHECK_SAID(text) check_said((text), __FILE__, __LINE__)

void check_one(int holds, const char* what, const char* file, int line);
void check_refused(int failed, int expected, const char* what, const char* file, int line);
void check_said(const char* text, const char* file, int line);

/// A pager in `limit` bytes, without what makes counts depend on the moment; the delivery is $FAULTLINE_DELIVERY's.
/// Ends the program where there is none: with 77 where it is not allowed.
faultline_pager* small_pager(size_t limit);

/// A pseudo-random number; the sequence is the same in each run.
uint64_t draw(void);

/// Fills memory with what depends on the place and the seed.
void fill(void* memory, size_t bytes, uint64_t seed);

/// What faultline has counted, checked for success.
faultline_stats region_stats(const faultline_region* region);

// The parts, each a test: main.c.
void test_structs(void);
void test_messages(void);
void test_pager(void);
void test_region(void);
void test_heap(void);
void test_stack(void);
void test_io(void);

#endif
