// Structs of programs that were compiled with an older or a newer header than the library's.
#include "c_support.h"

#include <stddef.h>
#include <string.h>

/// A config as a later header may define it.
typedef struct longer_config {
    faultline_config known;
    uint64_t added[2];
} longer_config;

typedef struct longer_stats {
    faultline_stats known;
    uint64_t added[2];
} longer_stats;

static void check_what_is_passed_in(void) {
    faultline_config without_size = {.resident_limit = 4 * MIB};
    CHECK_REFUSED_NULL(faultline_pager_create(&without_size), EINVAL);
    CHECK_SAID(
        "faultline_pager_create: faultline_config.size is 0; set it to sizeof(faultline_config): "
        "Invalid argument");
    const size_t first_version = offsetof(faultline_config, memory_limit);
    faultline_config too_small = {.size = first_version - 1, .resident_limit = 4 * MIB};
    CHECK_REFUSED_NULL(faultline_pager_create(&too_small), EINVAL);

    // What lies behind the struct of an older program is not the library's to read.
    faultline_config older = {.size = first_version, .resident_limit = 4 * MIB, .memory_limit = 1};
    faultline_pager* const of_older = faultline_pager_create(&older);
    CHECK(of_older != NULL);
    CHECK(faultline_pager_memory_limit(of_older) == 0);
    faultline_pager_destroy(of_older);

    longer_config longer = {.known = {.size = sizeof longer, .resident_limit = 4 * MIB}};
    faultline_pager* const pager = faultline_pager_create(&longer.known);
    CHECK(pager != NULL);
    CHECK(faultline_pager_resident_limit(pager) == 4 * MIB);
    faultline_pager_destroy(pager);
    longer.added[1] = 1;
    CHECK_REFUSED_NULL(faultline_pager_create(&longer.known), E2BIG);
}

static void check_what_is_filled_in(void) {
    faultline_pager* const pager = small_pager(4 * MIB);
    faultline_region* const region = faultline_region_create(pager, MIB, NULL);
    *(volatile char*)faultline_region_data(region) = 1;

    longer_stats longer = {.known = {.size = sizeof longer}, .added = {7, 7}};
    CHECK(faultline_region_get_stats(region, &longer.known) == 0);
    CHECK(longer.known.size == sizeof longer);
    CHECK(longer.known.first_touches > 0);
    CHECK(longer.added[0] == 0 && longer.added[1] == 0);

    faultline_stats without_size = {.first_touches = 5};
    CHECK_REFUSED(faultline_region_get_stats(region, &without_size), EINVAL);
    CHECK(without_size.first_touches == 5);
    CHECK_REFUSED(faultline_region_get_stats(region, NULL), EINVAL);

    CHECK(faultline_region_destroy(region) == 0);
    faultline_pager_destroy(pager);
}

void test_structs(void) {
    CHECK(faultline_abi_version() == FAULTLINE_ABI_VERSION);
    CHECK(strcmp(faultline_version(), FAULTLINE_VERSION_STRING) == 0);
    check_what_is_passed_in();
    check_what_is_filled_in();
}
