// docs/embedding.md: SQLite with all its memory in a heap, in C: a database in memory that is larger than the memory
// limit, and a copy of it in a file. Exits with 0 if SQLite finds both intact.
#define _POSIX_C_SOURCE 200809L

#include <faultline/faultline.h>

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static faultline_heap* heap;

// ---- SQLite's allocator: SQLITE_CONFIG_MALLOC

static void* take(int bytes) { return faultline_heap_malloc(heap, (size_t)bytes); }
static void give_back(void* block) { faultline_heap_free(heap, block); }
static void* resize(void* block, int bytes) { return faultline_heap_realloc(heap, block, (size_t)bytes); }
static int size_of(void* block) { return (int)faultline_heap_usable_size(heap, block); }
static int round_up(int bytes) { return (bytes + 15) & ~15; }
static int start(void* unused) { return (void)unused, SQLITE_OK; }
static void stop(void* unused) { (void)unused; }

static sqlite3_mem_methods methods = {take, give_back, resize, size_of, round_up, start, stop, NULL};

// ---- and its system calls, whose buffers are in the heap

static void pin_around_system_calls(void) {
    sqlite3_vfs* files = sqlite3_vfs_find(NULL);
    files->xSetSystemCall(files, "read", (sqlite3_syscall_ptr)faultline_read);
    files->xSetSystemCall(files, "write", (sqlite3_syscall_ptr)faultline_write);
    // Which of these it uses was decided when it was built.
    files->xSetSystemCall(files, "pread", (sqlite3_syscall_ptr)faultline_pread);
    files->xSetSystemCall(files, "pwrite", (sqlite3_syscall_ptr)faultline_pwrite);
    files->xSetSystemCall(files, "pread64", (sqlite3_syscall_ptr)faultline_pread);
    files->xSetSystemCall(files, "pwrite64", (sqlite3_syscall_ptr)faultline_pwrite);
}

// ---- A program that uses SQLite, and knows of nothing else

static int print_row(void* name, int columns, char** values, char** titles) {
    (void)columns;
    (void)titles;
    printf("%-22s %s\n", (const char*)name, values[0]);
    return 0;
}

static void run(sqlite3* database, const char* name, const char* statement) {
    char* message = NULL;
    if (sqlite3_exec(database, statement, print_row, (void*)name, &message) == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", name, message);
    exit(1);
}

static void fill_and_check(const char* copy) {
    sqlite3* database = NULL;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK) exit(1);
    run(database, "settings", "PRAGMA temp_store = memory; PRAGMA cache_size = -1024");
    run(database, "fill",
        "CREATE TABLE words (number INTEGER PRIMARY KEY, word TEXT);"
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)"
        "INSERT INTO words SELECT n, printf('the word that has the number %06d', n) FROM numbers;"
        "CREATE INDEX by_word ON words (word)");
    run(database, "rows", "SELECT count(*) FROM words");
    run(database, "number of word 7919", "SELECT number FROM words WHERE word = 'the word that has the number 007919'");
    run(database, "in memory", "PRAGMA integrity_check");

    char statement[512];
    snprintf(statement, sizeof statement, "VACUUM INTO '%s'", copy);
    run(database, "copy", statement);
    sqlite3_close(database);
}

static void check_copy(const char* copy) {
    sqlite3* database = NULL;
    if (sqlite3_open(copy, &database) != SQLITE_OK) exit(1);
    run(database, "in the file", "PRAGMA integrity_check");
    sqlite3_close(database);
    unlink(copy);
}

/// Returns the exit code after an error of the library; 77: this kernel or user may not do it.
static int say_why(void) {
    const int error = errno;
    fprintf(stderr, "%s\n", faultline_error_message());
    return error == EPERM ? 77 : 1;
}

int main(void) {
    faultline_config config = {.size = sizeof config, .resident_limit = (size_t)4 << 20};
    faultline_pager* pager = faultline_pager_create(&config);
    if (pager == NULL) return say_why();
    heap = faultline_heap_create(pager, NULL);
    if (heap == NULL) return say_why();
    // Threads must not wait for a mutex in managed memory, and those of its own for connections are: MULTITHREAD has
    // none.
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) return 1;
    if (sqlite3_config(SQLITE_CONFIG_MULTITHREAD) != SQLITE_OK) return 1;
    pin_around_system_calls();

    char copy[] = "/tmp/faultline_sqlite_XXXXXX";  // empty, which is as good as none to SQLite
    const int file = mkstemp(copy);
    if (file < 0) return 1;
    close(file);
    fill_and_check(copy);
    check_copy(copy);

    faultline_pager_stats stats = {.size = sizeof stats};
    faultline_pager_get_stats(pager, NULL, &stats);
    printf("%-22s %.1f MiB, never more than %.1f MiB of them in memory\n", "most that SQLite had",
           (double)sqlite3_memory_highwater(0) / 1048576, (double)stats.frames_peak / 1048576);
    sqlite3_shutdown();
    faultline_heap_destroy(heap);
    faultline_pager_destroy(pager);
    return 0;
}
