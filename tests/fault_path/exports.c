/* Exports functions with names of the C library, LZ4 and liburing: the dynamic loader binds every library that imports
   such a name to them. A thread must not call any of them while it takes faults. At other times those that set-up needs
   do their work. */

#include <faultline/faultline.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { kPage = 4096, kPages = 2000, kLimitPages = 200 };

/* The thread that takes faults now; 0: none. Other threads may call the functions. */
static volatile long taking_faults;

static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void called(const char* name) {
    if (taking_faults == 0 || call(SYS_gettid, 0, 0, 0) != taking_faults) return;
    size_t bytes = 0;
    while (name[bytes] != 0) ++bytes;
    static const char kMessage[] = "called by a fault: ";
    call(SYS_write, 2, (long)kMessage, sizeof kMessage - 1);
    call(SYS_write, 2, (long)name, (long)bytes);
    call(SYS_write, 2, (long)"\n", 1);
    call(SYS_exit_group, 1, 0, 0);
}

void* memmove(void* to, const void* from, size_t bytes) {
    called("memmove");
    volatile unsigned char* const a = to;
    const volatile unsigned char* const b = from;
    if ((uintptr_t)to <= (uintptr_t)from) {
        for (size_t i = 0; i < bytes; ++i) a[i] = b[i];
    } else {
        for (size_t i = bytes; i > 0; --i) a[i - 1] = b[i - 1];
    }
    return to;
}

void* memcpy(void* to, const void* from, size_t bytes) {
    called("memcpy");
    return memmove(to, from, bytes);
}

void* memset(void* to, int byte, size_t bytes) {
    called("memset");
    for (size_t i = 0; i < bytes; ++i) ((volatile unsigned char*)to)[i] = (unsigned char)byte;
    return to;
}

int memcmp(const void* a, const void* b, size_t bytes) {
    called("memcmp");
    for (size_t i = 0; i < bytes; ++i) {
        const int difference = ((const unsigned char*)a)[i] - ((const unsigned char*)b)[i];
        if (difference != 0) return difference;
    }
    return 0;
}

size_t strlen(const char* text) {
    called("strlen");
    size_t bytes = 0;
    while (((const volatile char*)text)[bytes] != 0) ++bytes;
    return bytes;
}

int clock_gettime(int clock, void* time);
int clock_gettime(int clock, void* time) {
    called("clock_gettime");
    return (int)call(SYS_clock_gettime, clock, (long)time, 0);
}

/* Defines a function that set-up does not need: it ends the program on any call. */
#define EXPORT(name)                               \
    int name(void);                                \
    int name(void) {                               \
        taking_faults = call(SYS_gettid, 0, 0, 0); \
        called(#name);                             \
        return 0;                                  \
    }

EXPORT(sched_getcpu)
EXPORT(LZ4_compress_fast_extState)
EXPORT(LZ4_decompress_safe)
EXPORT(io_uring_submit)

static unsigned char byte_of(size_t page) { return (unsigned char)(page * 7 + 1); }

static int touch_all(volatile unsigned char* bytes) {
    int right = 1;
    taking_faults = call(SYS_gettid, 0, 0, 0);
    for (size_t page = 0; page < kPages; ++page) {
        for (size_t at = 0; at < kPage; at += 64) bytes[page * kPage + at] = (unsigned char)(byte_of(page) + at % 251);
    }
    for (size_t i = 0; i < kPages; ++i) {
        const size_t page = i * 1031 % kPages;
        if (bytes[page * kPage + 640] != (unsigned char)(byte_of(page) + 640 % 251)) right = 0;
    }
    for (size_t page = 0; page < kPages; ++page) {
        if (bytes[page * kPage] != byte_of(page)) right = 0;
    }
    taking_faults = 0;
    return right;
}

/* The first argument is the name of the delivery. */
int main(int count, char** arguments) {
    faultline_config config = {.size = sizeof config};
    for (int delivery = FAULTLINE_DELIVERY_AUTOMATIC; delivery <= FAULTLINE_DELIVERY_SIGSEGV; ++delivery) {
        if (count > 1 && strcmp(arguments[1], faultline_delivery_name(delivery)) == 0) config.delivery = delivery;
    }
    if (config.delivery == FAULTLINE_DELIVERY_AUTOMATIC) return 2;
    config.resident_limit = kLimitPages * kPage;
    config.compressed_limit = 64 * kPage;
    faultline_pager* const pager = faultline_pager_create(&config);
    if (pager == NULL) {
        printf("skipped: %s\n", faultline_error_message());
        return 77;
    }
    faultline_region* const region = faultline_region_create(pager, kPages * kPage, NULL);
    if (region == NULL) return 3;
    if (!touch_all(faultline_region_data(region))) return 4;
    if (faultline_region_destroy(region) != 0) return 5;
    faultline_pager_destroy(pager);
    return 0;
}
