// The I/O functions transfer the right bytes from and to pages that are not resident.
#define _POSIX_C_SOURCE 200809L
#include "c_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BYTES = 256 * 1024 };

typedef struct buffers {
    faultline_region* region;
    unsigned char* from;  // in the region
    unsigned char* to;    // in the region
    unsigned char* copy;  // the contents of `from`, in ordinary memory
} buffers;

/// Fills `from` with new contents and `to` with other bytes, and evicts both.
static void prepare(buffers* all) {
    fill(all->copy, BYTES, draw());
    memcpy(all->from, all->copy, BYTES);
    memset(all->to, 0xee, BYTES);
    CHECK(faultline_region_advise(all->region, all->from, 2 * BYTES, FAULTLINE_ADVICE_DONTNEED) == 0);
    CHECK(region_stats(all->region).resident_bytes == 0);
}

/// Repeats a call until it has transferred BYTES bytes.
#define ALL(call)                          \
    for (size_t done = 0; done < BYTES;) { \
        const ptrdiff_t once = (call);     \
        CHECK(once > 0);                   \
        if (once <= 0) break;              \
        done += (size_t)once;              \
    }

static int arrived(const buffers* all) { return memcmp(all->to, all->copy, BYTES) == 0; }

static void check_file(buffers* all, int file) {
    prepare(all);
    ALL(faultline_write(file, all->from + done, BYTES - done));
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    ALL(faultline_read(file, all->to + done, BYTES - done));
    CHECK(arrived(all));

    prepare(all);
    ALL(faultline_pwrite(file, all->from + done, BYTES - done, (int64_t)(7 + done)));
    ALL(faultline_pread(file, all->to + done, BYTES - done, (int64_t)(7 + done)));
    CHECK(arrived(all));

    // Two separate parts of 8 KiB each.
    prepare(all);
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    const struct iovec out[2] = {{all->from, 8192}, {all->from + 65536, 8192}};
    const struct iovec in[2] = {{all->to, 4096}, {all->to + 65536, 12288}};
    CHECK(faultline_writev(file, out, 2) == 16384);
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    CHECK(faultline_readv(file, in, 2) == 16384);
    CHECK(memcmp(all->to, all->copy, 4096) == 0 && memcmp(all->to + 65536, all->copy + 4096, 4096) == 0);
    CHECK(memcmp(all->to + 65536 + 4096, all->copy + 65536, 8192) == 0);

    errno = 0;
    CHECK(faultline_read(-1, all->to, 1) == -1 && errno == EBADF);
}

static void check_socket(buffers* all) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    prepare(all);
    CHECK(faultline_send(ends[0], all->from, 16384, 0) == 16384);
    CHECK(faultline_recv(ends[1], all->to, 16384, MSG_WAITALL) == 16384);
    CHECK(memcmp(all->to, all->copy, 16384) == 0);
    close(ends[0]);
    close(ends[1]);
}

void test_io(void) {
    faultline_pager* const pager = small_pager(MIB);
    buffers all = {.region = faultline_region_create(pager, 2 * BYTES, NULL), .copy = malloc(BYTES)};
    all.from = faultline_region_data(all.region);
    all.to = all.from + BYTES;
    FILE* const file = tmpfile();
    CHECK(file != NULL && all.copy != NULL);
    check_file(&all, fileno(file));
    check_socket(&all);
    fclose(file);
    free(all.copy);
    CHECK(faultline_region_destroy(all.region) == 0);
    faultline_pager_destroy(pager);
}
