/* Faults in known ways: in order, at random, once; from a child, a thread, and stacks that end soon or are managed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#ifndef KEEP
#define KEEP __attribute__((noinline, noclone))
#endif

static volatile uint64_t sink;

KEEP void walk_in_order(const unsigned char* bytes, size_t size, int rounds) {
    uint64_t sum = 0;
    for (int round = 0; round < rounds; ++round) {
        for (size_t i = 0; i < size; i += 64) sum += bytes[i];
    }
    sink = sum;
}

/* The two differ in how often they are called only. */
#define JUMP(name)                                                             \
    KEEP void name(const unsigned char* bytes, size_t size, uint64_t* state) { \
        *state = *state * 6364136223846793005u + 1442695040888963407u;         \
        sink += bytes[(*state >> 33) % (size / PAGE) * PAGE];                  \
    }
JUMP(jump_often)
JUMP(jump_seldom)

KEEP void touch_once(unsigned char* bytes, size_t size) {
    for (size_t i = 0; i < size; i += PAGE) bytes[i] = (unsigned char)(i >> 12 | 1);
}

KEEP void fill(unsigned char* bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[i] = (unsigned char)((i * 2654435761u) >> 13);
}

static unsigned char* allocate(size_t size) {
    unsigned char* const bytes = malloc(size);
    if (bytes == NULL) abort();
    return bytes;
}

static void jump(const unsigned char* bytes, size_t size, int jumps) {
    uint64_t state = 42;
    for (int i = 0; i < jumps; ++i) {
        if (i % 4 != 0) {
            jump_often(bytes, size, &state);
        } else {
            jump_seldom(bytes, size, &state);
        }
    }
}

static void places(void) {
    const size_t size = 24 * MIB;
    unsigned char* const ordered = allocate(size);
    unsigned char* const scattered = allocate(size);
    fill(ordered, size);
    fill(scattered, size);
    madvise(scattered, size, MADV_RANDOM);
    walk_in_order(ordered, size, 3);
    jump(scattered, size, 8000);
    touch_once(allocate(64 * MIB), 64 * MIB);
}

static void tree(void) {
    const size_t size = 16 * MIB;
    unsigned char* const bytes = allocate(size);
    fill(bytes, size);
    const pid_t child = fork();
    if (child == 0) {
        jump(bytes, size, 3000);
        _exit(0); /* without atexit */
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) abort();
    walk_in_order(bytes, size, 2);
}

static void* on_small_stack(void* bytes) {
    jump(bytes, 16 * MIB, 3000);
    return NULL;
}

static ucontext_t outer;
static unsigned char* shared;
static void on_managed_stack(void) {
    jump(shared, 16 * MIB, 3000);
    swapcontext(&(ucontext_t){0}, &outer);
}

static void stack_end(void) {
    shared = allocate(16 * MIB);
    fill(shared, 16 * MIB);
    /* The thread's first frames are within a page of the end of its stack, behind which nothing is mapped. */
    const size_t size = 128 << 10;
    unsigned char* const room = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || munmap(room + size, PAGE) != 0) abort();
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstack(&attributes, room, size) != 0) abort();
    if (pthread_create(&thread, &attributes, on_small_stack, shared) != 0) abort();
    pthread_join(thread, NULL);

    ucontext_t inner;
    getcontext(&inner);
    inner.uc_stack.ss_sp = allocate(256 << 10);
    inner.uc_stack.ss_size = 256 << 10;
    inner.uc_link = NULL;
    makecontext(&inner, on_managed_stack, 0);
    swapcontext(&outer, &inner);
}

static void system_call(void) {
    const size_t size = 24 * MIB;
    unsigned char* const bytes = allocate(size);
    fill(bytes, size);
    char name[] = "recorded-XXXXXX";
    const int file = mkstemp(name);
    unlink(name);
    for (size_t at = 0; at < size; at += MIB) {
        if (pwrite(file, bytes + at, MIB, (off_t)at) != (ssize_t)MIB) abort();
    }
}

int main(int count, char** arguments) {
    if (count < 2) return 2;
    if (strcmp(arguments[1], "places") == 0) places();
    if (strcmp(arguments[1], "tree") == 0) tree();
    if (strcmp(arguments[1], "stack_end") == 0) stack_end();
    if (strcmp(arguments[1], "system_call") == 0) system_call();
    return 0;
}
