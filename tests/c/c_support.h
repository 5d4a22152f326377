// Helpers of the parts of this program: checks that count failures, a pager with a small limit, and random contents.
// C99 and POSIX; includes no header of faultline but <faultline/faultline.h>.
#ifndef FAULTLINE_TESTS_C_SUPPORT_H
#define FAULTLINE_TESTS_C_SUPPORT_H

#include <faultline/faultline.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/// Counts and prints a condition that does not hold. Does not end the program.
#define CHECK(condition) check_one((condition) != 0, #condition, __FILE__, __LINE__)

/// Checks that a call returns -1, or NULL, with this errno, and sets an error message.
#define CHECK_REFUSED(call, expected) check_refused((errno = 0, (call) == -1), (expected), #call, __FILE__, __LINE__)
#define CHECK_REFUSED_NULL(call, expected) \
    check_refused((errno = 0, (call) == NULL), (expected), #call, __FILE__, __LINE__)

/// The text of faultline_error_message().
#define CHECK_SAID(text) check_said((text), __FILE__, __LINE__)

void check_one(int holds, const char* what, const char* file, int line);
void check_refused(int failed, int expected, const char* what, const char* file, int line);
void check_said(const char* text, const char* file, int line);

/// Makes a pager with this limit (bytes) and the delivery $FAULTLINE_DELIVERY. It has no background evictor and no
/// read-ahead, so that counts are exact. If that fails, ends the program: with 77 if the kernel refuses the delivery.
faultline_pager* small_pager(size_t limit);

/// Returns a pseudo-random number. The sequence is the same in each run.
uint64_t draw(void);

/// Fills memory with bytes that depend on their offset and the seed.
void fill(void* memory, size_t bytes, uint64_t seed);

/// Returns the region's figures. Checks that the call succeeds.
faultline_stats region_stats(const faultline_region* region);

// The parts; main.c runs one of them.
void test_structs(void);
void test_messages(void);
void test_pager(void);
void test_region(void);
void test_heap(void);
void test_stack(void);
void test_io(void);
void test_tables(void);

#endif
