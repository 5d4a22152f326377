// Policies and stores of the program, as tables of functions: the pager calls them, pages keep their bytes, and a wrong
// table is refused.
#include "c_support.h"

#include <stdlib.h>
#include <string.h>

// ---- A policy that evicts the page that came last

typedef struct stack_policy {
    uint32_t* frames;
    size_t count;
    int* living;
} stack_policy;

static int living_policies = 0;

static void* create_policy(void* context, const faultline_policy_setup* setup) {
    stack_policy* const policy = malloc(sizeof *policy);
    CHECK(setup->size == sizeof *setup && setup->capacity >= setup->frames);
    policy->frames = calloc(setup->capacity, sizeof *policy->frames);
    policy->count = 0;
    policy->living = context;
    ++*policy->living;
    return policy;
}
static void destroy_policy(void* of) {
    stack_policy* const policy = of;
    --*policy->living;
    free(policy->frames);
    free(policy);
}
static void add_frame(void* of, uint32_t frame) {
    stack_policy* const policy = of;
    policy->frames[policy->count++] = frame;
}
static void map_frame(void* of, uint32_t frame, const faultline_arrival* arrival) {
    // What choose_frame returned, or 0 if the pager chose the page.
    if (arrival->kind == FAULTLINE_ARRIVAL_HARD_FAULT && arrival->tag != 21 && arrival->tag != 0) abort();
    add_frame(of, frame);
}
static faultline_victim choose_frame(void* of) {
    stack_policy* const policy = of;
    faultline_victim victim = {0, 0};
    if (policy->count == 0) return victim;
    victim.frame = policy->frames[--policy->count];
    victim.tag = 21;
    return victim;
}
static void remove_frame(void* of, uint32_t frame) {
    stack_policy* const policy = of;
    size_t at = 0;
    while (policy->frames[at] != frame) ++at;
    policy->frames[at] = policy->frames[--policy->count];
}

static faultline_policy policy_table(void) {
    faultline_policy table = {.size = sizeof table,
                              .context = &living_policies,
                              .create = create_policy,
                              .destroy = destroy_policy,
                              .mapped = map_frame,
                              .victim = choose_frame,
                              .put_back = add_frame,
                              .removed = remove_frame};
    return table;
}

// ---- A store in one array

typedef struct array_store {
    unsigned char* bytes;
    size_t written;
    int destroyed;
} array_store;

static int read_array(void* of, uint64_t offset, void* into, size_t bytes) {
    array_store* const store = of;
    memcpy(into, store->bytes + offset, bytes);
    return 0;
}
static int write_array(void* of, uint64_t offset, const void* from, size_t bytes) {
    array_store* const store = of;
    memcpy(store->bytes + offset, from, bytes);
    __atomic_fetch_add(&store->written, bytes, __ATOMIC_RELAXED);
    return 0;
}
static void destroy_array(void* of) { ((array_store*)of)->destroyed = 1; }

static faultline_store store_table(array_store* store, size_t bytes) {
    faultline_store table = {.size = sizeof table,
                             .context = store,
                             .bytes = bytes,
                             .concurrency = 2,
                             .read = read_array,
                             .write = write_array,
                             .destroy = destroy_array};
    return table;
}

static void check_contents(faultline_pager* pager) {
    const size_t bytes = 4 * MIB;
    faultline_region* const region = faultline_region_create(pager, bytes, NULL);
    CHECK(region != NULL);
    unsigned char* const managed = faultline_region_data(region);
    unsigned char* const copy = malloc(bytes);
    fill(copy, bytes, draw());
    memcpy(managed, copy, bytes);
    for (size_t i = 0; i < 1000; ++i) {
        const size_t page = draw() % (bytes / 4096) * 4096;
        managed[page] = copy[page] = (unsigned char)i;
    }
    CHECK(memcmp(managed, copy, bytes) == 0);
    free(copy);
    CHECK(faultline_region_destroy(region) == 0);
}

static void check_policy_and_store(unsigned flags) {
    array_store store = {calloc(64, MIB), 0, 0};
    faultline_store stores = store_table(&store, 64 * MIB);
    stores.flags = flags;
    faultline_policy policies = policy_table();
    faultline_config config = {.size = sizeof config, .resident_limit = MIB, .policy = &policies, .store = &stores};
    faultline_pager* const pager = faultline_pager_create(&config);
    CHECK(pager != NULL && living_policies == 1);
    memset(&policies, 0, sizeof policies);  // the library has copies
    memset(&stores, 0, sizeof stores);
    check_contents(pager);
    faultline_pager_destroy(pager);
    CHECK(store.written > 2 * MIB);
    CHECK(store.destroyed == 1 && living_policies == 0);
    free(store.bytes);
}

static void* create_no_policy(void* context, const faultline_policy_setup* setup) {
    (void)context;
    (void)setup;
    errno = ENOTSUP;
    return NULL;
}

static void check_refused_tables(void) {
    array_store store = {calloc(64, MIB), 0, 0};
    faultline_policy policies = policy_table();
    policies.victim = NULL;
    faultline_config config = {.size = sizeof config, .policy = &policies};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    policies = policy_table();
    policies.size = 8;
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    policies = policy_table();
    policies.create = create_no_policy;
    CHECK_REFUSED_NULL(faultline_pager_create(&config), ENOTSUP);

    faultline_store stores = store_table(&store, 64 * MIB);
    stores.read = NULL;
    config = (faultline_config){.size = sizeof config, .store = &stores};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    stores = store_table(&store, 64 * MIB);
    stores.flags = 2;
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    stores = store_table(&store, MIB);
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    stores = store_table(&store, 64 * MIB);
    stores.concurrency = 65;
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    stores = store_table(&store, 64 * MIB);
    config.fork_policy = FAULTLINE_FORK_INHERIT;
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    free(store.bytes);
}

void test_tables(void) {
    check_policy_and_store(0);
    check_policy_and_store(FAULTLINE_STORE_SIGNAL_SAFE);
    check_refused_tables();
}
