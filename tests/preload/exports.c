/* A program that exports functions with names of the C library and other meanings. The dynamic loader binds every
   library that imports such a name to them. Each function ends the program with a message; the program itself calls
   none. Runs with libfaultline-preload.so preloaded, whose calls must reach the C library's functions. */

#include <stddef.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void end(const char* name, size_t bytes) {
    static const char kMessage[] = "called in the program: ";
    call(SYS_write, 2, (long)kMessage, sizeof kMessage - 1);
    call(SYS_write, 2, (long)name, (long)bytes);
    call(SYS_write, 2, (long)"\n", 1);
    call(SYS_exit_group, 1, 0, 0);
}

/* The functions ignore their arguments, so their signatures do not matter. */
#define EXPORT(name)                           \
    void exported_##name(void) __asm__(#name); \
    __attribute__((used)) void exported_##name(void) { end(#name, sizeof #name - 1); }

// clang-format off
EXPORT(sched_getcpu) EXPORT(sched_getaffinity) EXPORT(sched_yield) EXPORT(clock_gettime) EXPORT(nanosleep)
EXPORT(memcpy) EXPORT(memmove) EXPORT(memset) EXPORT(memcmp) EXPORT(memchr) EXPORT(strlen) EXPORT(strcmp) EXPORT(strchr)
EXPORT(open) EXPORT(openat) EXPORT(read) EXPORT(write) EXPORT(pread) EXPORT(pwrite) EXPORT(readv) EXPORT(writev)
EXPORT(ioctl) EXPORT(fcntl) EXPORT(poll) EXPORT(stat) EXPORT(fstat) EXPORT(fstatvfs) EXPORT(readlink) EXPORT(unlink)
EXPORT(ftruncate) EXPORT(mkostemp) EXPORT(pipe2) EXPORT(eventfd) EXPORT(memfd_create) EXPORT(fopen) EXPORT(fclose)
EXPORT(mmap) EXPORT(munmap) EXPORT(mprotect) EXPORT(madvise) EXPORT(syscall) EXPORT(sysconf) EXPORT(getrlimit)
EXPORT(getpid) EXPORT(getenv) EXPORT(getauxval) EXPORT(getrandom) EXPORT(sigaction) EXPORT(sigaltstack)
EXPORT(pthread_mutex_lock) EXPORT(pthread_mutex_unlock) EXPORT(pthread_self) EXPORT(pthread_setname_np)
EXPORT(pthread_setspecific) EXPORT(pthread_join) EXPORT(dl_iterate_phdr) EXPORT(dlsym) EXPORT(dladdr) EXPORT(snprintf)
EXPORT(LZ4_compress_fast_extState) EXPORT(LZ4_decompress_safe) EXPORT(io_uring_submit) EXPORT(io_uring_queue_init)
    // clang-format on

    extern void* malloc(size_t bytes);
extern void free(void* block);
extern int fork(void);

enum { kBlocks = 2000, kBytes = 4000 };

static int blocks_are_right(char* volatile* blocks) {
    for (int i = 0; i < kBlocks; ++i) {
        for (int at = 0; at < kBytes; at += 500) {
            if (blocks[i][at] != (char)(i + at)) return 0;
        }
    }
    return 1;
}

int main(void) {
    static char* volatile blocks[kBlocks];
    for (int i = 0; i < kBlocks; ++i) {
        blocks[i] = malloc(kBytes);
        for (int at = 0; at < kBytes; at += 500) blocks[i][at] = (char)(i + at);
    }
    if (!blocks_are_right(blocks)) return 2;
    /* The kernel writes to a page that is absent. */
    if (call(SYS_getcwd, (long)blocks[0], kBytes, 0) <= 0 || blocks[0][0] != '/') return 3;
    blocks[0][0] = 0;
    for (int at = 0; at < kBytes; at += 500) blocks[0][at] = (char)at;
    const int child = fork();
    if (child == 0) call(SYS_exit_group, blocks_are_right(blocks) ? 0 : 4, 0, 0);
    int status = -1;
    if (call(SYS_wait4, child, (long)&status, 0) != child || status != 0) return 5;
    if (!blocks_are_right(blocks)) return 6;
    for (int i = 0; i < kBlocks; ++i) free(blocks[i]);
    return 0;
}
