/* Shows, without faultline, that UFFDIO_MOVE can move pages and report an error for them (docs/traps.md, trap 25).
 *
 * One thread moves a run of pages from one mapping to another and back. A second thread clears the pages' accessed
 * bits, as memory reclaim and DAMON do, so that the kernel finds a page table entry changed and tries again. Since
 * Linux 6.18 the second try moves a whole run, but the kernel keeps the first try's EAGAIN: it does not count the run
 * and ends with EEXIST when it finds those pages at the destination.
 *
 *   cc -O2 -pthread uffd_move_unreported.c && ./a.out [SECONDS]
 *
 * Exit status: 0 every move was reported, 1 some were not, 2 the test cannot run here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

/* UFFDIO_MOVE, which older headers lack. */
struct move_request {
    unsigned long long destination, source, length, mode;
    long long moved;
};
#define MOVE_IOCTL _IOWR(0xAA, 0x05, struct move_request)
#define MOVE_FEATURE (1ULL << 16)

enum { PAGES = 8, PAGE = 4096, BYTES = PAGES * PAGE, USER_MODE_ONLY = 1 };

static char *first_home, *second_home;
static atomic_int stop;
static long unreported;

static _Noreturn void cannot_run(const char* what) {
    perror(what);
    exit(2);
}

static char* map_watched(int uffd) {
    char* at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) cannot_run("mmap");
    madvise(at, BYTES, MADV_NOHUGEPAGE);
    struct uffdio_register request = {.range = {(unsigned long)at, BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(uffd, UFFDIO_REGISTER, &request) != 0) cannot_run("UFFDIO_REGISTER");
    return at;
}

static int is_present(const char* page) {
    unsigned char present = 0;
    return mincore((void*)page, PAGE, &present) == 0 && (present & 1) != 0;
}

static void* clear_accessed_bits(void* unused) {
    while (!atomic_load(&stop)) {
        madvise(first_home, BYTES, MADV_COLD);
        madvise(second_home, BYTES, MADV_COLD);
    }
    return unused;
}

static void move_all(int uffd, char* to, char* from) {
    for (size_t done = 0; done < BYTES;) {
        struct move_request request = {(unsigned long)to + done, (unsigned long)from + done, BYTES - done, 0, 0};
        if (ioctl(uffd, MOVE_IOCTL, &request) == 0) return;
        const int error = errno;
        if (request.moved > 0) done += (size_t)request.moved;
        if (error == EAGAIN) continue;
        if (error != EEXIST || is_present(from + done)) {
            errno = error;
            cannot_run("UFFDIO_MOVE");
        }
        if (unreported++ == 0) printf("UFFDIO_MOVE reported EEXIST for page %zu, which it had moved\n", done / PAGE);
        done += PAGE;
    }
}

int main(int argc, char** argv) {
    const int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS | MOVE_FEATURE};
    if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) != 0) cannot_run("a userfaultfd with UFFDIO_MOVE (Linux 6.8)");
    first_home = map_watched(uffd);
    second_home = map_watched(uffd);
    char page[PAGE];
    for (int i = 0; i < PAGES; ++i) {
        memset(page, i + 1, PAGE);
        struct uffdio_copy fill = {
            .dst = (unsigned long)first_home + (unsigned long)i * PAGE, .src = (unsigned long)page, .len = PAGE};
        if (ioctl(uffd, UFFDIO_COPY, &fill) != 0) cannot_run("UFFDIO_COPY");
    }
    pthread_t clearer;
    if (pthread_create(&clearer, NULL, clear_accessed_bits, NULL) != 0) cannot_run("pthread_create");
    const time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
    long rounds = 0;
    for (; time(NULL) < end; ++rounds) {
        move_all(uffd, second_home, first_home);
        move_all(uffd, first_home, second_home);
        for (int i = 0; i < PAGES; ++i) {
            if (first_home[i * PAGE] != i + 1) return printf("page %d has lost its bytes\n", i), 1;
        }
    }
    atomic_store(&stop, 1);
    pthread_join(clearer, NULL);
    printf("%ld rounds of %d pages forth and back, %ld pages moved without a report\n", rounds, PAGES, unreported);
    return unreported > 0;
}
