// Heaps: blocks keep their contents, compared with copies in ordinary memory.
#include "c_support.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 128, ROUNDS = 600 };

typedef struct held_block {
    unsigned char* managed;
    unsigned char* copy;
    size_t bytes;
} held_block;

/// Returns a random size: mostly small, one in 16 may be large enough for its own pages.
static size_t draw_size(void) { return draw() % (draw() % 16 == 0 ? 300 * KIB : 6 * KIB); }

static int holds(const held_block* it) { return memcmp(it->managed, it->copy, it->bytes) == 0; }

static int is_zero(const held_block* it) {
    for (size_t i = 0; i < it->bytes; ++i) {
        if (it->managed[i] != 0) return 0;
    }
    return 1;
}

static void take(faultline_heap* heap, held_block* it) {
    it->bytes = draw_size();
    const uint64_t way = draw() % 4;
    if (way == 0) {
        const size_t alignment = (size_t)1 << draw() % 15;
        it->managed = faultline_heap_aligned_alloc(heap, alignment, it->bytes);
        CHECK((uintptr_t)it->managed % alignment == 0);
    } else if (way == 1) {
        it->bytes = it->bytes / 12 * 12;
        it->managed = faultline_heap_calloc(heap, 12, it->bytes / 12);
        CHECK(it->managed != NULL && is_zero(it));
    } else {
        it->managed = faultline_heap_malloc(heap, it->bytes);
        CHECK((uintptr_t)it->managed % 16 == 0);
    }
    it->copy = malloc(it->bytes + 1);
    if (it->managed == NULL || it->copy == NULL) abort();
    CHECK(faultline_heap_owns(heap, it->managed));
    CHECK(faultline_heap_usable_size(heap, it->managed) >= it->bytes);
    fill(it->copy, it->bytes, draw());
    memcpy(it->managed, it->copy, it->bytes);
}

static void resize(faultline_heap* heap, held_block* it) {
    const size_t bytes = draw_size();
    it->managed = faultline_heap_realloc(heap, it->managed, bytes);
    it->copy = realloc(it->copy, bytes + 1);
    if (it->managed == NULL || it->copy == NULL) abort();
    const size_t kept = bytes < it->bytes ? bytes : it->bytes;
    CHECK(memcmp(it->managed, it->copy, kept) == 0);
    it->bytes = bytes;
    fill(it->copy + kept, bytes - kept, draw());
    memcpy(it->managed + kept, it->copy + kept, bytes - kept);
}

static void give_back(faultline_heap* heap, held_block* it) {
    errno = ERANGE;
    faultline_heap_free(heap, it->managed);
    CHECK(errno == ERANGE);
    free(it->copy);
    *it = (held_block){NULL, NULL, 0};
}

static void check_figures(const faultline_heap* heap, const held_block* blocks) {
    uint64_t live = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < BLOCKS; ++i) {
        if (blocks[i].managed == NULL) continue;
        ++live;
        bytes += faultline_heap_usable_size(heap, blocks[i].managed);
    }
    faultline_heap_stats own = {.size = sizeof own};
    faultline_stats paging = {.size = sizeof paging};
    CHECK(faultline_heap_get_stats(heap, &own, &paging) == 0);
    CHECK(own.live_blocks == live);
    CHECK(own.live_bytes == bytes);
    CHECK(paging.resident_bytes <= MIB && paging.hard_faults > 0);

    faultline_size_class classes[100];
    const ptrdiff_t count = faultline_heap_get_size_classes(heap, classes, 100);
    CHECK(count > 1 && count <= 100);
    uint64_t small = 0;
    for (ptrdiff_t i = 0; i < count; ++i) {
        small += classes[i].live_blocks;
        CHECK(i == 0 || classes[i].block_bytes > classes[i - 1].block_bytes);
    }
    CHECK(small + own.large_blocks == live);
    faultline_size_class first = {0, 0, 0, 0, 0};
    CHECK(faultline_heap_get_size_classes(heap, &first, 1) == count);
    CHECK(memcmp(&first, &classes[0], sizeof first) == 0);
}

static void check_random_blocks(faultline_heap* heap) {
    static held_block blocks[BLOCKS];
    for (int round = 0; round < ROUNDS; ++round) {
        held_block* const it = &blocks[draw() % BLOCKS];
        if (it->managed == NULL) {
            take(heap, it);
            continue;
        }
        CHECK(holds(it));
        if (draw() % 2 == 0) {
            resize(heap, it);
        } else {
            give_back(heap, it);
        }
    }
    check_figures(heap, blocks);
    for (int i = 0; i < BLOCKS; ++i) {
        if (blocks[i].managed == NULL) continue;
        CHECK(holds(&blocks[i]));
        give_back(heap, &blocks[i]);
    }
    faultline_heap_trim(heap);
    faultline_heap_stats own = {.size = sizeof own};
    CHECK(faultline_heap_get_stats(heap, &own, NULL) == 0);
    CHECK(own.live_blocks == 0 && own.live_bytes == 0 && own.dead_bytes == 0);
}

static void check_refusals(faultline_heap* heap) {
    // The allocating functions set errno only.
    errno = 0;
    CHECK(faultline_heap_malloc(heap, 100 * MIB) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(faultline_heap_calloc(heap, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(faultline_heap_aligned_alloc(heap, 24, 100) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(faultline_heap_aligned_alloc(heap, 4 * MIB, 100) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(faultline_heap_malloc(NULL, 100) == NULL && errno == EINVAL);
    int elsewhere = 0;
    CHECK(!faultline_heap_owns(heap, &elsewhere));
    CHECK(faultline_heap_usable_size(heap, NULL) == 0);
    CHECK_REFUSED(faultline_heap_advise(heap, &elsewhere, 4, FAULTLINE_ADVICE_COLD), EINVAL);
    faultline_heap_free(heap, NULL);
}

/// malloc of 0 bytes returns a unique block, and realloc to 0 bytes does not free the block.
static void check_empty_blocks(faultline_heap* heap) {
    void* const empty = faultline_heap_malloc(heap, 0);
    CHECK(empty != NULL);
    void* block = faultline_heap_realloc(heap, NULL, 1000);
    CHECK(block != NULL && block != empty);
    block = faultline_heap_realloc(heap, block, 0);
    CHECK(block != NULL);
    faultline_heap_free(heap, block);
    faultline_heap_free(heap, empty);
}

void test_heap(void) {
    faultline_pager* const pager = small_pager(MIB);
    faultline_heap_config config = {.size = sizeof config,
                                    .reservation = 64 * MIB,
                                    .large_threshold = 64 * KIB,
                                    .dead_bytes_kept = FAULTLINE_KEEP_NONE};
    faultline_heap* const heap = faultline_heap_create(pager, &config);
    CHECK(heap != NULL);
    check_random_blocks(heap);
    check_refusals(heap);
    check_empty_blocks(heap);

    void* const block = faultline_heap_malloc(heap, 10000);
    CHECK(faultline_heap_advise(heap, block, 10000, FAULTLINE_ADVICE_COLD) == 0);
    faultline_pin* const pin = faultline_heap_pin(heap, block, 10000, FAULTLINE_PIN_FOR_WRITING);
    CHECK(pin != NULL);
    CHECK_REFUSED(faultline_heap_destroy(heap), EBUSY);
    faultline_unpin(pin);
    faultline_pager_destroy(pager);
    CHECK(faultline_heap_destroy(heap) == 0);

    config.reservation = 1;
    faultline_pager* const other = small_pager(MIB);
    CHECK_REFUSED_NULL(faultline_heap_create(other, &config), EINVAL);
    faultline_pager_destroy(other);
}
