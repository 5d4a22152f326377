// Regions keep their contents, compared with a copy in ordinary memory.
#include "c_support.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_PAGES = 32, PAGES = 128 };
static const size_t kPage = 4096;

typedef struct both {
    faultline_region* region;
    unsigned char* bytes;
    unsigned char* copy;
} both;

static void write_both(both* it, size_t offset, size_t bytes) {
    fill(it->copy + offset, bytes, draw());
    memcpy(it->bytes + offset, it->copy + offset, bytes);
}

static int same(const both* it) { return memcmp(it->bytes, it->copy, PAGES * kPage) == 0; }

static void check_contents(both* it) {
    CHECK(same(it));  // a new region is zeros
    write_both(it, 0, PAGES * kPage);
    for (int i = 0; i < 100; ++i) write_both(it, draw() % ((PAGES - 2) * kPage), 1 + draw() % (2 * kPage));
    CHECK(same(it));
    const faultline_stats stats = region_stats(it->region);
    CHECK(stats.hard_faults > 0 && stats.bytes_read > 0 && stats.bytes_written > 0);
    CHECK(stats.resident_bytes <= LIMIT_PAGES * kPage);
}

static void check_pins(both* it) {
    CHECK_REFUSED_NULL(faultline_region_pin(it->region, it->bytes, PAGES * kPage + 1, FAULTLINE_PIN_FOR_READING),
                       EINVAL);
    CHECK_REFUSED_NULL(faultline_region_pin(it->region, it->bytes, kPage, 2), EINVAL);
    CHECK_REFUSED_NULL(faultline_region_pin(it->region, it->bytes, PAGES * kPage, FAULTLINE_PIN_FOR_READING), ENOMEM);
    faultline_pin* const pin =
        faultline_region_pin(it->region, it->bytes + 3 * kPage - 1, kPage + 2, FAULTLINE_PIN_FOR_WRITING);
    CHECK(pin != NULL);
    CHECK(region_stats(it->region).pinned_bytes == 3 * kPage);
    CHECK(same(it));
    CHECK_REFUSED(faultline_region_discard(it->region, it->bytes + 2 * kPage, kPage), EBUSY);
    CHECK_REFUSED(faultline_region_destroy(it->region), EBUSY);
    errno = ERANGE;
    faultline_unpin(pin);
    CHECK(errno == ERANGE);
    CHECK(region_stats(it->region).pinned_bytes == 0);
}

static void check_advice(both* it) {
    CHECK(faultline_region_advise(it->region, it->bytes, PAGES * kPage, FAULTLINE_ADVICE_DONTNEED) == 0);
    CHECK(region_stats(it->region).resident_bytes == 0);
    CHECK(faultline_region_advise(it->region, it->bytes + 1, 8 * kPage, FAULTLINE_ADVICE_WILLNEED) == 0);
    CHECK(faultline_region_wait_for_advised(it->region, it->bytes, 16 * kPage) == 0);
    CHECK(region_stats(it->region).resident_bytes + region_stats(it->region).staged_bytes > 0);
    for (int advice = FAULTLINE_ADVICE_NORMAL; advice <= FAULTLINE_ADVICE_COLD; ++advice) {
        CHECK(faultline_region_advise(it->region, it->bytes, PAGES * kPage, advice) == 0);
    }
    CHECK_REFUSED(faultline_region_advise(it->region, it->bytes, 1, FAULTLINE_ADVICE_COLD + 1), EINVAL);
    CHECK_REFUSED(faultline_region_advise(it->region, it->bytes - 1, 1, FAULTLINE_ADVICE_NORMAL), EINVAL);
    CHECK(same(it));
}

static void check_discard_and_protection(both* it) {
    CHECK(faultline_region_discard(it->region, it->bytes + 10 * kPage, 20 * kPage) == 0);
    memset(it->copy + 10 * kPage, 0, 20 * kPage);
    CHECK(same(it));
    CHECK_REFUSED(faultline_region_discard(it->region, it->bytes + 1, kPage), EINVAL);

    CHECK(faultline_region_protect(it->region, it->bytes, PAGES * kPage, FAULTLINE_ACCESS_READ) == 0);
    CHECK_REFUSED_NULL(faultline_region_pin(it->region, it->bytes, 1, FAULTLINE_PIN_FOR_WRITING), EACCES);
    CHECK(same(it));
    CHECK_REFUSED(faultline_region_protect(it->region, it->bytes, kPage, FAULTLINE_ACCESS_READ_EXECUTE + 1), EINVAL);
    CHECK(faultline_region_protect(it->region, it->bytes, PAGES * kPage, FAULTLINE_ACCESS_READ_WRITE) == 0);
    write_both(it, 0, 40 * kPage);
    CHECK(faultline_region_retry(it->region, it->bytes, PAGES * kPage) == 0);
    CHECK(same(it));
}

static void check_residency(both* it) {
    faultline_residency parts[7];
    CHECK(faultline_region_get_residency(it->region, parts, 7) == 0);
    uint64_t all = 0;
    uint64_t resident = 0;
    for (int i = 0; i < 7; ++i) {
        all += parts[i].untouched + parts[i].resident + parts[i].staged + parts[i].swapped;
        resident += parts[i].resident;
        CHECK(parts[i].dirty <= parts[i].resident);
    }
    CHECK(all == PAGES * kPage);
    CHECK(resident == region_stats(it->region).resident_bytes);
    CHECK_REFUSED(faultline_region_get_residency(it->region, NULL, 7), EINVAL);
}

void test_region(void) {
    faultline_pager* const pager = small_pager(LIMIT_PAGES * kPage);
    both it = {faultline_region_create(pager, PAGES * kPage - 100, NULL), NULL, calloc(PAGES, kPage)};
    CHECK(it.region != NULL && it.copy != NULL);
    CHECK(faultline_region_size(it.region) == PAGES * kPage);
    CHECK(faultline_region_page_size(it.region) == kPage);
    it.bytes = faultline_region_data(it.region);
    check_contents(&it);
    check_pins(&it);
    check_advice(&it);
    check_discard_and_protection(&it);
    check_residency(&it);
    CHECK(faultline_region_destroy(it.region) == 0);
    free(it.copy);

    faultline_region_options options = {.size = sizeof options, .page_size = 16 * KIB};
    faultline_region* const coarse = faultline_region_create(pager, MIB, &options);
    CHECK(faultline_region_page_size(coarse) == 16 * KIB);
    CHECK(faultline_region_destroy(coarse) == 0);
    options.page_size = 3000;
    CHECK_REFUSED_NULL(faultline_region_create(pager, MIB, &options), EINVAL);
    CHECK_REFUSED_NULL(faultline_region_create(pager, 0, NULL), EINVAL);
    faultline_pager_destroy(pager);
}
