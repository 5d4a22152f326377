// Errors: NULL handles and invalid constants are refused with a message, and each thread has its own message.
#include "c_support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void check_null_handles(void) {
    faultline_stats stats = {.size = sizeof stats};
    CHECK_REFUSED_NULL(faultline_region_create(NULL, MIB, NULL), EINVAL);
    CHECK(strstr(faultline_error_message(), "pager") != NULL);
    CHECK_REFUSED_NULL(faultline_heap_create(NULL, NULL), EINVAL);
    CHECK_REFUSED_NULL(faultline_stack_create(NULL, MIB), EINVAL);
    CHECK_REFUSED_NULL(faultline_stack_pool_create(NULL, NULL), EINVAL);
    CHECK_REFUSED_NULL(faultline_stack_pool_take(NULL), EINVAL);
    CHECK_REFUSED_NULL(faultline_stack_memory(NULL, NULL), EINVAL);
    CHECK_REFUSED_NULL(faultline_region_pin(NULL, &stats, 1, FAULTLINE_PIN_FOR_READING), EINVAL);
    CHECK_REFUSED_NULL(faultline_heap_pin(NULL, &stats, 1, FAULTLINE_PIN_FOR_READING), EINVAL);
    CHECK_REFUSED(faultline_pager_set_resident_limit(NULL, MIB), EINVAL);
    CHECK_REFUSED(faultline_pager_delivery(NULL), EINVAL);
    CHECK_REFUSED(faultline_pager_eviction(NULL), EINVAL);
    CHECK_REFUSED(faultline_pager_get_stats(NULL, &stats, NULL), EINVAL);
    CHECK_REFUSED(faultline_region_get_stats(NULL, &stats), EINVAL);
    CHECK_REFUSED(faultline_region_advise(NULL, NULL, 0, FAULTLINE_ADVICE_NORMAL), EINVAL);
    CHECK_REFUSED(faultline_region_discard(NULL, NULL, 0), EINVAL);
    CHECK_REFUSED(faultline_heap_get_size_classes(NULL, NULL, 0), EINVAL);
    CHECK_REFUSED(faultline_stack_trim(NULL), EINVAL);
    CHECK_REFUSED(faultline_stack_run(NULL, NULL, NULL, NULL), EINVAL);
    CHECK(faultline_pager_resident_limit(NULL) == 0);
    CHECK(faultline_region_data(NULL) == NULL && faultline_region_size(NULL) == 0);
    CHECK(faultline_stack_pool_taken(NULL) == 0 && faultline_stack_pool_capacity(NULL) == 0);

    // Destroying functions accept NULL, as free does.
    faultline_pager_destroy(NULL);
    CHECK(faultline_region_destroy(NULL) == 0);
    CHECK(faultline_heap_destroy(NULL) == 0);
    faultline_unpin(NULL);
    faultline_stack_destroy(NULL);
    faultline_stack_pool_destroy(NULL);
    faultline_alternate_stack_destroy(NULL);
}

static void check_constants(void) {
    faultline_config config = {.size = sizeof config, .delivery = FAULTLINE_DELIVERY_SIGSEGV + 1};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    CHECK(strstr(faultline_error_message(), "faultline_delivery") != NULL);
    config = (faultline_config){.size = sizeof config, .eviction = -1};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    config = (faultline_config){.size = sizeof config, .replacement = 2};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    config = (faultline_config){.size = sizeof config, .fork_policy = 2};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    config = (faultline_config){.size = sizeof config, .flags = 4};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);

    CHECK(strcmp(faultline_delivery_name(FAULTLINE_DELIVERY_UFFD_THREADS), "uffd_threads") == 0);
    CHECK(strcmp(faultline_delivery_name(FAULTLINE_DELIVERY_AUTOMATIC), "automatic") == 0);
    CHECK(strcmp(faultline_eviction_name(FAULTLINE_EVICTION_GUARD), "guard") == 0);
    CHECK(strcmp(faultline_delivery_name(-1), "unknown") == 0);
    CHECK(strcmp(faultline_eviction_name(1000), "unknown") == 0);
}

static void* message_of_a_thread(void* first_character) {
    *(char*)first_character = *faultline_error_message();
    CHECK_REFUSED_NULL(faultline_heap_create(NULL, NULL), EINVAL);
    return NULL;
}

/// A thread's message does not change until the next failure of the same thread.
static void check_threads(void) {
    faultline_config config = {.size = sizeof config, .resident_limit = 1};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
    char before[256];
    snprintf(before, sizeof before, "%s", faultline_error_message());
    char first_character = 'x';
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, message_of_a_thread, &first_character) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(first_character == '\0');
    CHECK(strncmp(before, faultline_error_message(), sizeof before - 1) == 0);
}

void test_messages(void) {
    CHECK(strcmp(faultline_error_message(), "") == 0);
    check_null_handles();
    check_constants();
    check_threads();
}
