// Pagers: each option of the config takes effect, and the figures are consistent.
#define _POSIX_C_SOURCE 200809L
#include "c_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct told {
    int messages;
    int strange;
} told;

static void take_message(void* context, int level, const char* message) {
    told* const all = context;
    ++all->messages;
    if (level < FAULTLINE_LOG_DEBUG || level > FAULTLINE_LOG_ERROR || *message == '\0') ++all->strange;
}

static void path_in_temporary_directory(char* path, size_t bytes, const char* name) {
    const char* const directory = getenv("TMPDIR");
    snprintf(path, bytes, "%s/faultline_c_%s_%ld", directory != NULL ? directory : "/tmp", name, (long)getpid());
}

static void check_latency(const faultline_latency* latency, uint64_t expected) {
    CHECK(latency->count == expected);
    CHECK(latency->p50 <= latency->p90 && latency->p90 <= latency->p99 && latency->p99 <= latency->p999);
    CHECK((latency->p999 > 0) == (expected > 0));
}

static void check_config(void) {
    char swap_file[256];
    char trace_file[256];
    path_in_temporary_directory(swap_file, sizeof swap_file, "swap");
    path_in_temporary_directory(trace_file, sizeof trace_file, "trace");
    told all = {0, 0};
    faultline_config config = {.size = sizeof config,
                               .resident_limit = 2 * MIB,
                               .compressed_limit = MIB,
                               .swap_file = swap_file,
                               .trace_file = trace_file,
                               .delivery = FAULTLINE_DELIVERY_SIGSEGV,
                               .replacement = FAULTLINE_REPLACEMENT_FIFO,
                               .flags = FAULTLINE_NO_BACKGROUND_EVICTOR | FAULTLINE_NO_READ_AHEAD,
                               .full_disk_patience = -1,
                               .log = take_message,
                               .log_context = &all};
    faultline_pager* const pager = faultline_pager_create(&config);
    CHECK(pager != NULL);
    CHECK(all.messages > 0 && all.strange == 0);
    CHECK(faultline_pager_resident_limit(pager) == 2 * MIB);
    CHECK(faultline_pager_delivery(pager) == FAULTLINE_DELIVERY_SIGSEGV);
    const int eviction = faultline_pager_eviction(pager);
    CHECK(eviction == FAULTLINE_EVICTION_PROTECT || eviction == FAULTLINE_EVICTION_GUARD);

    const size_t pages = 1024;
    faultline_region* const region = faultline_region_create(pager, pages * 4096, NULL);
    unsigned char* const bytes = faultline_region_data(region);
    for (size_t i = 0; i < pages; ++i) bytes[i * 4096] = (unsigned char)(i % 251 + 1);
    for (size_t i = 0; i < pages; ++i) CHECK(bytes[i * 4096] == i % 251 + 1);

    faultline_stats sums = {.size = sizeof sums};
    faultline_pager_stats own = {.size = sizeof own};
    CHECK(faultline_pager_get_stats(pager, &sums, &own) == 0);
    CHECK(sums.first_touches == pages);
    CHECK(sums.hard_faults > 0 && sums.evictions > 0 && sums.pages_read_ahead == 0);
    CHECK(sums.resident_bytes + sums.staged_bytes + sums.swapped_bytes == pages * 4096);
    CHECK(own.resident_limit == 2 * MIB && own.frames_used <= own.frames_peak && own.frames_peak <= 2 * MIB);
    CHECK(own.compressed_used > 0 && own.compressed_used <= MIB);
    CHECK(own.direct_reclaims > 0);
    check_latency(&own.first_touch_latency, sums.first_touches);
    check_latency(&own.hard_latency, sums.hard_faults);
    check_latency(&own.soft_latency, sums.soft_faults);
    check_latency(&own.write_latency, sums.write_faults);

    // A region stays usable after its pager is destroyed.
    faultline_pager_destroy(pager);
    CHECK(bytes[5 * 4096] == 6);
    CHECK(faultline_region_destroy(region) == 0);

    struct stat trace;
    CHECK(stat(trace_file, &trace) == 0 && trace.st_size > 0);
    unlink(trace_file);
    CHECK(access(swap_file, F_OK) != 0);
}

static void check_limit(void) {
    faultline_pager* const pager = small_pager(4 * MIB);
    faultline_region* const region = faultline_region_create(pager, 4 * MIB, NULL);
    memset(faultline_region_data(region), 1, 4 * MIB);
    CHECK(faultline_pager_set_resident_limit(pager, MIB) == 0);
    CHECK(faultline_pager_resident_limit(pager) == MIB);
    CHECK(region_stats(region).resident_bytes <= MIB);
    CHECK_REFUSED(faultline_pager_set_resident_limit(pager, 4096), EINVAL);
    CHECK(faultline_pager_resident_limit(pager) == MIB);
    CHECK(faultline_region_destroy(region) == 0);
    faultline_pager_destroy(pager);
}

#ifndef __SANITIZE_THREAD__  // ThreadSanitizer does not support threads started after a fork

/// FAULTLINE_FORK_INHERIT: a child gets its own copy of the contents.
static void check_inheriting_child(void) {
    faultline_config config = {.size = sizeof config,
                               .resident_limit = MIB,
                               .delivery = FAULTLINE_DELIVERY_UFFD_SIGNAL,
                               .fork_policy = FAULTLINE_FORK_INHERIT,
                               .flags = FAULTLINE_NO_BACKGROUND_EVICTOR | FAULTLINE_NO_READ_AHEAD};
    faultline_pager* const pager = faultline_pager_create(&config);
    const size_t bytes = 2 * MIB;
    faultline_region* const region = faultline_region_create(pager, bytes, NULL);
    unsigned char* const copy = malloc(bytes);
    CHECK(region != NULL && copy != NULL);
    void* const managed = faultline_region_data(region);
    fill(copy, bytes, draw());
    memcpy(managed, copy, bytes);
    const pid_t child = fork();
    if (child == 0) {
        const int right = memcmp(managed, copy, bytes) == 0;
        memset(managed, 0, bytes);
        _exit(right && faultline_region_destroy(region) == 0 ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(memcmp(managed, copy, bytes) == 0);
    free(copy);
    CHECK(faultline_region_destroy(region) == 0);
    faultline_pager_destroy(pager);
}

#endif

/// FAULTLINE_FORK_REFUSE: calls in the child fail with EPERM.
static void check_refused_child(void) {
    faultline_pager* const pager = small_pager(MIB);
    faultline_region* const region = faultline_region_create(pager, MIB, NULL);
    faultline_heap* const heap = faultline_heap_create(pager, NULL);
    const pid_t child = fork();
    if (child == 0) {
        const int refused = faultline_region_discard(region, faultline_region_data(region), 4096) == -1 &&
                            errno == EPERM && faultline_region_destroy(region) == -1 && errno == EPERM &&
                            faultline_heap_destroy(heap) == -1 && errno == EPERM &&
                            faultline_region_create(pager, MIB, NULL) == NULL && errno == EPERM;
        faultline_pager_destroy(pager);
        _exit(refused ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(faultline_heap_destroy(heap) == 0);
    CHECK(faultline_region_destroy(region) == 0);
    faultline_pager_destroy(pager);
}

static void check_eviction(void) {
    faultline_config config = {.size = sizeof config,
                               .resident_limit = MIB,
                               .swap_directory = ".",
                               .delivery = FAULTLINE_DELIVERY_UFFD_SIGNAL,
                               .eviction = FAULTLINE_EVICTION_COPY,
                               .staging_percent = 50};
    faultline_pager* const pager = faultline_pager_create(&config);
    CHECK(faultline_pager_delivery(pager) == FAULTLINE_DELIVERY_UFFD_SIGNAL);
    CHECK(faultline_pager_eviction(pager) == FAULTLINE_EVICTION_COPY);
    faultline_pager_destroy(pager);
    config.staging_percent = 51;
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EINVAL);
}

static void check_refusals(void) {
    faultline_config config = {.size = sizeof config, .swap_directory = "/nonexistent/directory"};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), ENOENT);
    CHECK(strstr(faultline_error_message(), "/nonexistent/directory") != NULL);

    char existing[256];
    path_in_temporary_directory(existing, sizeof existing, "existing");
    const int file = open(existing, O_CREAT | O_WRONLY, 0600);
    CHECK(file >= 0);
    config = (faultline_config){.size = sizeof config, .swap_file = existing};
    CHECK_REFUSED_NULL(faultline_pager_create(&config), EEXIST);
    close(file);
    unlink(existing);
}

void test_pager(void) {
    check_limit();
    check_config();
    check_eviction();
#ifndef __SANITIZE_THREAD__
    check_inheriting_child();
#endif
    check_refused_child();
    check_refusals();
}
