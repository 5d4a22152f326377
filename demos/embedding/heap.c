// docs/embedding.md: a list of three million numbers in 16 MiB of memory, in C. Exits with 0 if every number is found
// unchanged.
#include <faultline/faultline.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

typedef struct node {
    struct node* next;
    uint64_t number;
} node;

/// Returns the exit code after an error of the library; 77: this kernel or user may not do it.
static int say_why(void) {
    const int error = errno;
    fprintf(stderr, "%s\n", faultline_error_message());
    return error == EPERM ? 77 : 1;
}

int main(void) {
    faultline_config config = {.size = sizeof config, .resident_limit = (size_t)16 << 20};
    faultline_pager* pager = faultline_pager_create(&config);
    if (pager == NULL) return say_why();
    faultline_heap* heap = faultline_heap_create(pager, NULL);
    if (heap == NULL) return say_why();

    const uint64_t count = 3000000;
    node* list = NULL;
    for (uint64_t i = 0; i < count; ++i) {
        node* first = faultline_heap_malloc(heap, sizeof *first);
        if (first == NULL) return 1;
        *first = (node){list, i};
        list = first;
    }
    uint64_t right = 0;
    uint64_t expected = count;
    for (const node* at = list; at != NULL; at = at->next) right += at->number == --expected;

    faultline_heap_stats own = {.size = sizeof own};
    faultline_stats paging = {.size = sizeof paging};
    faultline_heap_get_stats(heap, &own, &paging);
    printf("%" PRIu64 " numbers right; %.1f MiB live, %.1f MiB of them in memory\n", right,
           (double)own.live_bytes / 1048576, (double)paging.resident_bytes / 1048576);

    faultline_heap_destroy(heap);  // with all that is in it
    faultline_pager_destroy(pager);
    return right == count ? 0 : 1;
}
