// Stacks: faultline_stack_run() returns after the function has returned, and after it has overflowed the stack.
#include "c_support.h"

#include <string.h>

typedef struct dive {
    unsigned levels;   // the depth of the recursion
    unsigned reached;  // the deepest level so far
    uintptr_t lowest;  // an address in that level's frame
    int nested;
    faultline_stack* stack;
} dive;

/// Recurses to it->levels. Each level uses a little over 500 bytes of stack.
static void go_down(dive* it, unsigned level) {
    volatile char frame[512];
    frame[0] = (char)level;
    it->reached = level;
    it->lowest = (uintptr_t)frame;
    if (level < it->levels) go_down(it, level + 1);
    frame[1] = frame[0];  // keeps the frame alive during the call
}

static void start_dive(void* argument) { go_down(argument, 0); }

static void trim_and_nest(void* argument) {
    dive* const it = argument;
    go_down(it, 0);
    CHECK(faultline_trim_current_stack() == 1);
    faultline_stack_overflow overflow;
    errno = 0;
    it->nested = faultline_stack_run(it->stack, start_dive, it, &overflow);
    CHECK(errno == EBUSY);
}

static void check_runs(faultline_stack* stack) {
    size_t bytes = 0;
    char* const memory = faultline_stack_memory(stack, &bytes);
    CHECK(memory != NULL && bytes >= 64 * KIB);
    for (int round = 0; round < 3; ++round) {
        faultline_stack_overflow overflow;
        memset(&overflow, 0, sizeof overflow);
        dive shallow = {.levels = 20};
        CHECK(faultline_stack_run(stack, start_dive, &shallow, &overflow) == 0);
        CHECK(shallow.reached == 20);
        CHECK(shallow.lowest - (uintptr_t)memory < bytes);
        CHECK(overflow.stack == NULL);

        dive deep = {.levels = 100000};
        CHECK(faultline_stack_run(stack, start_dive, &deep, &overflow) == 1);
        CHECK(deep.reached > 20 && deep.reached < 100000);
        CHECK(overflow.stack == memory && overflow.stack_bytes == bytes && overflow.depth > bytes);
        CHECK((const char*)overflow.address == memory + bytes - overflow.depth);
        CHECK(faultline_stack_run(stack, start_dive, &deep, NULL) == 1);
        CHECK(faultline_stack_trim(stack) == 0);
    }
    dive inner = {.levels = 5, .stack = stack};
    CHECK(faultline_stack_run(stack, trim_and_nest, &inner, NULL) == 0);
    CHECK(inner.nested == -1);
    CHECK_REFUSED(faultline_stack_run(stack, NULL, NULL, NULL), EINVAL);

    faultline_stack_overflow overflow;
    CHECK(faultline_stack_overflow_at(memory - 1, &overflow) == 1);
    CHECK(overflow.stack == memory && overflow.depth == bytes + 1);
    CHECK(faultline_stack_overflow_at(memory, &overflow) == 0);
    CHECK(faultline_stack_overflow_at(&overflow, NULL) == 0);
    CHECK(faultline_trim_current_stack() == 0);
}

static void check_pool(faultline_pager* pager) {
    faultline_stack_pool_options options = {.size = sizeof options, .stack_bytes = 64 * KIB, .stacks = 3};
    faultline_stack_pool* const pool = faultline_stack_pool_create(pager, &options);
    CHECK(pool != NULL);
    CHECK(faultline_stack_pool_capacity(pool) == 3 && faultline_stack_pool_taken(pool) == 0);
    faultline_stack* const first = faultline_stack_pool_take(pool);
    faultline_stack* const second = faultline_stack_pool_take(pool);
    size_t bytes = 0;
    unsigned char* const memory = faultline_stack_pool_take_memory(pool, &bytes);
    CHECK(memory != NULL && bytes == 64 * KIB);
    CHECK(faultline_stack_pool_taken(pool) == 3);
    CHECK_REFUSED_NULL(faultline_stack_pool_take(pool), ENOMEM);
    check_runs(first);
    check_runs(second);

    memset(memory, 1, bytes);
    CHECK(faultline_stack_pool_trim(pool, memory + bytes / 2) == 0);
    CHECK(memory[0] == 0 && memory[bytes / 2] == 1 && memory[bytes - 1] == 1);
    faultline_stack_pool_give_back(pool, memory);
    CHECK(faultline_stack_pool_taken(pool) == 2);
    faultline_stats stats = {.size = sizeof stats};
    CHECK(faultline_stack_pool_get_stats(pool, &stats) == 0);
    CHECK(stats.first_touches > 16);

    faultline_stack_destroy(first);
    faultline_stack_pool_destroy(pool);
    check_runs(second);  // a stack keeps its pool alive
    faultline_stack_destroy(second);
}

void test_stack(void) {
    faultline_alternate_stack* const alternate = faultline_alternate_stack_create();
    CHECK(alternate != NULL);
    faultline_pager* const pager = small_pager(2 * MIB);
    faultline_stack* const stack = faultline_stack_create(pager, 64 * KIB);
    CHECK(stack != NULL);
    check_runs(stack);
    faultline_stack_destroy(stack);
    check_pool(pager);
    faultline_pager_destroy(pager);
    faultline_alternate_stack_destroy(alternate);
}
