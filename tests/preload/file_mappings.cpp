// Private copies of files that the program may write to: their bytes, also after eviction; the last page of a file, and
// what lies behind it; calls that change a part; MADV_DONTNEED; fork; errors. Runs with libfaultline-preload.so
// preloaded, and without: the same must hold. Prints each failed check and exits with 1.

#include "caught_faults.hpp"
#include "counted_checks.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

// NOLINTBEGIN: tests the C library's functions
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPages = 1024;  // of the file: four times the limit
constexpr std::size_t kLimitPages = 256;
constexpr int kPlain = PROT_READ | PROT_WRITE;

std::uint64_t stamp(std::size_t page, std::size_t word, std::uint64_t kind) { return page << 20 | word << 8 | kind; }

void fill(std::uint64_t* words, std::size_t page, std::uint64_t kind) {
    for (std::size_t i = 0; i < kPage / 8; ++i) words[i] = stamp(page, i, kind);
}

constexpr std::uint64_t kFile = 'f';
constexpr std::uint64_t kWritten = 'w';

/// Returns a descriptor of a new file of `bytes`, each page with stamps of its own.
int make_file(std::size_t bytes = kPages * kPage) {
    const int file = memfd_create("a file", MFD_CLOEXEC);
    std::uint64_t words[kPage / 8];
    for (std::size_t at = 0; at < bytes; at += kPage) {
        fill(words, at / kPage, kFile);
        const std::size_t part = bytes - at < kPage ? bytes - at : kPage;
        CHECK(pwrite(file, words, part, static_cast<off_t>(at)) == static_cast<ssize_t>(part));
    }
    return file;
}

char* map_file(int file, std::size_t pages = kPages, std::size_t first = 0, void* address = nullptr, int flags = 0) {
    void* const made =
        mmap(address, pages * kPage, kPlain, MAP_PRIVATE | flags, file, static_cast<off_t>(first * kPage));
    CHECK(made != MAP_FAILED);
    return static_cast<char*>(made);
}

/// A mapping of a file that nothing else has open.
char* map_new_file(std::size_t pages = kPages) {
    const int file = make_file();
    char* const memory = map_file(file, pages);
    close(file);
    return memory;
}

void write_to(char* memory, std::size_t first, std::size_t count) {
    for (std::size_t page = first; page < first + count; ++page) {
        fill(reinterpret_cast<std::uint64_t*>(memory + page * kPage), page, kWritten);
    }
}

/// Returns true if the pages have the stamps of the pages from `stamped_as` on.
bool holds(const char* memory, std::size_t first, std::size_t count, std::uint64_t kind, std::size_t stamped_as) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto* const words = reinterpret_cast<const std::uint64_t*>(memory + (first + i) * kPage);
        for (std::size_t word = 0; word < kPage / 8; ++word) {
            if (words[word] != stamp(stamped_as + i, word, kind)) return false;
        }
    }
    return true;
}
bool holds(const char* memory, std::size_t first, std::size_t count, std::uint64_t kind) {
    return holds(memory, first, count, kind, first);
}
bool is_zeros(const char* memory, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (memory[i] != 0) return false;
    }
    return true;
}

bool is_mapped(const char* memory) {
    unsigned char present = 0;
    return mincore(const_cast<char*>(memory), kPage, &present) == 0;
}

std::size_t resident_pages(char* memory, std::size_t pages) {
    std::vector<unsigned char> present(pages);
    CHECK(mincore(memory, pages * kPage, present.data()) == 0);
    std::size_t count = 0;
    for (const unsigned char page : present) count += page & 1U;
    return count;
}

bool faults_at(const volatile char* address) {
    if (sigsetjmp(after_fault, 1) != 0) return true;
    static_cast<void>(*address);
    return false;
}

template <typename Act>
bool holds_in_child(Act act) {
    const pid_t child = fork();
    if (child == 0) _exit(act() ? 0 : 1);
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void a_mapping_has_the_bytes_of_the_file() {
    const int file = make_file();
    char* const memory = map_file(file);
    CHECK(holds(memory, 0, kPages, kFile));
    CHECK(holds(memory, 0, kPages, kFile));  // and after the pages were evicted
    char* const later = map_file(file, 100, 500);
    CHECK(holds(later, 0, 100, kFile, 500));
    CHECK(munmap(memory, kPages * kPage) == 0 && munmap(later, 100 * kPage) == 0);
    close(file);
}

void writes_stay_in_memory_and_do_not_reach_the_file() {
    const int file = make_file();
    char* const memory = map_file(file);
    write_to(memory, 0, kPages);
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(!managed || resident_pages(memory, kPages) <= kLimitPages);
    char* const again = map_file(file);
    CHECK(holds(again, 0, kPages, kFile) && holds(memory, 0, kPages, kWritten));
    CHECK(munmap(memory, kPages * kPage) == 0 && munmap(again, kPages * kPage) == 0);
    close(file);
}

void a_mapping_needs_no_descriptor() {
    const int file = make_file();
    char* const memory = map_file(file);
    const int next = dup(0);
    close(file);
    const int lowest = dup(0);
    CHECK(lowest == file && next == file + 1);
    close(lowest);
    close(next);
    CHECK(holds(memory, 0, kPages, kFile));
    CHECK(madvise(memory, kPages * kPage, MADV_DONTNEED) == 0 && holds(memory, 0, kPages, kFile));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

/// POSIX locks end when the process closes any descriptor of the file.
void munmap_leaves_record_locks_alone() {
    const int file = make_file();
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    CHECK(fcntl(file, F_SETLK, &lock) == 0);
    char* const memory = map_file(file);
    CHECK(munmap(memory, kPages * kPage) == 0);
    CHECK(holds_in_child([&] {
        struct flock found = lock;
        return fcntl(file, F_GETLK, &found) == 0 && found.l_type == F_WRLCK;
    }));
    close(file);
}

void zeros_follow_the_end_of_the_file_in_its_last_page() {
    constexpr std::size_t kSize = 99 * kPage + 100;
    const int file = make_file(kSize);
    char* const memory = map_file(file, 100);
    CHECK(holds(memory, 0, 99, kFile));
    CHECK(memory[kSize - 4] == kFile && is_zeros(memory + kSize, 100 * kPage - kSize));
    CHECK(munmap(memory, 100 * kPage) == 0);
    close(file);
}

void pages_behind_the_end_of_the_file_raise_signals() {
    const int file = make_file(99 * kPage + 100);
    char* const memory = map_file(file, 101);
    CHECK(!faults_at(memory + 99 * kPage) && faults_at(memory + 100 * kPage));
    CHECK(munmap(memory, 101 * kPage) == 0);
    close(file);
}

void a_fixed_mapping_replaces_part_of_a_reservation() {
    const int file = make_file();
    char* const area = static_cast<char*>(
        mmap(nullptr, 3 * kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    CHECK(mprotect(area, 2 * kPages * kPage, kPlain) == 0);
    write_to(area, 0, 2 * kPages);
    char* const memory = area + kPages * kPage;
    CHECK(map_file(file, kPages, 0, memory, MAP_FIXED) == memory);
    close(file);
    CHECK(holds(memory, 0, kPages, kFile) && holds(area, 0, kPages, kWritten));
    CHECK(faults_at(memory + kPages * kPage));
    write_to(memory, 0, kPages);
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(!managed || resident_pages(memory, kPages) <= kLimitPages);
    CHECK(munmap(area, 3 * kPages * kPage) == 0);
}

void raw_calls_make_the_same_mapping() {
    const int file = make_file();
    const long result = syscall(SYS_mmap, 0, kPages * kPage, kPlain, MAP_PRIVATE, file, 0);
    char* const memory = reinterpret_cast<char*>(result);
    CHECK(holds(memory, 0, kPages, kFile));
    write_to(memory, 0, kPages);
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(!managed || resident_pages(memory, kPages) <= kLimitPages);
    CHECK(syscall(SYS_munmap, memory, kPages * kPage) == 0 && !is_mapped(memory));
    close(file);
}

void munmap_of_a_part_leaves_the_rest() {
    char* const memory = map_new_file();
    write_to(memory, 200, 50);
    CHECK(munmap(memory + 100 * kPage, 120 * kPage) == 0);
    CHECK(is_mapped(memory + 99 * kPage) && !is_mapped(memory + 100 * kPage) && !is_mapped(memory + 219 * kPage));
    CHECK(holds(memory, 0, 100, kFile) && holds(memory, 220, 30, kWritten) && holds(memory, 250, kPages - 250, kFile));
    CHECK(madvise(memory + 220 * kPage, 60 * kPage, MADV_DONTNEED) == 0);
    CHECK(holds(memory, 220, kPages - 220, kFile));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void dontneed_brings_the_bytes_of_the_file_back() {
    char* const memory = map_new_file();
    write_to(memory, 0, kPages);
    CHECK(madvise(memory + 10 * kPage, 20 * kPage, MADV_DONTNEED) == 0);
    CHECK(holds(memory, 0, 10, kWritten) && holds(memory, 10, 20, kFile) && holds(memory, 30, kPages - 30, kWritten));
    write_to(memory, 10, 20);
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(mprotect(memory + 100 * kPage, 100 * kPage, PROT_READ) == 0);
    CHECK(madvise(memory, kPages * kPage, MADV_DONTNEED) == 0);
    CHECK(holds(memory, 0, kPages, kFile));
    if (sigsetjmp(after_fault, 1) == 0) {
        *const_cast<volatile char*>(memory + 150 * kPage) = 1;
        CHECK(!"a page that is only readable was written");
    }
    CHECK(mprotect(memory, kPages * kPage, kPlain) == 0);
    write_to(memory, 0, kPages);
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void dontneed_refuses_locked_pages() {
    char* const memory = map_new_file();
    write_to(memory, 0, 20);
    CHECK(mlock(memory + 5 * kPage, kPage) == 0);
    CHECK(madvise(memory + 5 * kPage, kPage, MADV_DONTNEED) == -1 && errno == EINVAL);
    CHECK(holds(memory, 0, 20, kWritten));
    CHECK(munlock(memory + 5 * kPage, kPage) == 0);
    CHECK(madvise(memory + 5 * kPage, kPage, MADV_DONTNEED) == 0 && holds(memory, 5, 1, kFile));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

/// A call that fails at its first part leaves the others alone.
void dontneed_follows_the_order_of_addresses() {
    char* const memory = map_new_file();
    write_to(memory, 0, 100);
    CHECK(mmap(memory, kPage, kPlain, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory);
    CHECK(mlock(memory, kPage) == 0);
    CHECK(madvise(memory, 20 * kPage, MADV_DONTNEED) == -1 && errno == EINVAL);
    CHECK(holds(memory, 1, 99, kWritten));
    CHECK(munlock(memory, kPage) == 0);
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void advice_for_anonymous_memory_is_refused() {
    char* const memory = map_new_file();
    write_to(memory, 0, kPages);
    CHECK(madvise(memory, kPage, MADV_FREE) == -1 && errno == EINVAL);
    CHECK(madvise(memory, kPage, MADV_WIPEONFORK) == -1 && errno == EINVAL);
    CHECK(madvise(memory, kPage, MADV_REMOVE) == -1 && errno == EACCES);
    CHECK(madvise(memory, kPages * kPage, MADV_COLD) == 0);
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void zeros_that_replace_a_part_stay_zeros() {
    char* const memory = map_new_file();
    CHECK(mmap(memory + 50 * kPage, 50 * kPage, kPlain, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    CHECK(holds(memory, 0, 50, kFile) && is_zeros(memory + 50 * kPage, 50 * kPage));
    CHECK(holds(memory, 100, kPages - 100, kFile));
    CHECK(madvise(memory, kPages * kPage, MADV_DONTNEED) == 0);
    CHECK(holds(memory, 0, 50, kFile) && is_zeros(memory + 50 * kPage, 50 * kPage));
    CHECK(holds(memory, 100, kPages - 100, kFile));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void protection_holds_and_keeps_the_contents() {
    char* const memory = map_new_file();
    write_to(memory, 0, 100);
    CHECK(mprotect(memory, 300 * kPage, PROT_NONE) == 0);
    CHECK(faults_at(memory) && faults_at(memory + 299 * kPage) && !faults_at(memory + 300 * kPage));
    CHECK(mprotect(memory, 300 * kPage, kPlain) == 0);
    CHECK(holds(memory, 0, 100, kWritten) && holds(memory, 100, kPages - 100, kFile));
    CHECK(mprotect(memory, 200 * kPage, PROT_READ | PROT_EXEC) == 0);
    CHECK(holds(memory, 0, 100, kWritten) && holds(memory, 100, kPages - 100, kFile));
    CHECK(madvise(memory, 200 * kPage, MADV_DONTNEED) == 0 && holds(memory, 0, kPages, kFile));
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void mremap_shows_more_of_the_file() {
    const int file = make_file();
    char* const memory = map_file(file, 100, 10);
    close(file);
    write_to(memory, 0, 50);
    char* const larger = static_cast<char*>(mremap(memory, 100 * kPage, 400 * kPage, MREMAP_MAYMOVE));
    CHECK(larger != MAP_FAILED);
    CHECK(holds(larger, 0, 50, kWritten) && holds(larger, 50, 350, kFile, 60));
    CHECK(mremap(larger, 400 * kPage, 80 * kPage, 0) == larger && !is_mapped(larger + 80 * kPage));
    CHECK(holds(larger, 0, 50, kWritten) && holds(larger, 50, 30, kFile, 60));
    CHECK(munmap(larger, 80 * kPage) == 0);
}

void a_child_of_fork_has_a_copy() {
    char* const memory = map_new_file();
    write_to(memory, 100, 400);
    const auto is_right = [&] {
        return holds(memory, 0, 100, kFile) && holds(memory, 100, 400, kWritten) &&
               holds(memory, 500, kPages - 500, kFile);
    };
    CHECK(holds_in_child([&] {
        const bool inherited = is_right();
        write_to(memory, 0, kPages);
        const bool written = holds(memory, 0, kPages, kWritten);
        return inherited && written && madvise(memory, kPages * kPage, MADV_DONTNEED) == 0 &&
               holds(memory, 0, kPages, kFile) && munmap(memory, kPages * kPage) == 0;
    }));
    CHECK(is_right());
    CHECK(madvise(memory, 200 * kPage, MADV_DONTFORK) == 0);
    CHECK(holds_in_child(
        [&] { return !is_mapped(memory) && !is_mapped(memory + 199 * kPage) && holds(memory, 200, 300, kWritten); }));
    CHECK(is_right());
    CHECK(munmap(memory, kPages * kPage) == 0);
}

void system_calls_use_the_memory() {
    const int file = make_file();
    char* const memory = map_file(file);
    const int other = memfd_create("another file", 0);
    CHECK(write(other, memory, kPages * kPage) == static_cast<ssize_t>(kPages * kPage));
    CHECK(pread(file, memory, 100 * kPage, 500 * kPage) == static_cast<ssize_t>(100 * kPage));
    CHECK(holds(memory, 0, 100, kFile, 500));
    char* const copy = map_file(other);
    CHECK(holds(copy, 0, kPages, kFile));
    CHECK(munmap(memory, kPages * kPage) == 0 && munmap(copy, kPages * kPage) == 0);
    close(file);
    close(other);
}

/// Pins leave no room to read the file into managed pages: the kernel maps it.
void a_mapping_works_when_all_memory_is_locked() {
    const int file = make_file();
    char* const memory = map_new_file();
    char* const locked = map_new_file(kLimitPages);
    write_to(memory, 0, kPages);
    std::size_t count = 0;
    while (count < kLimitPages && mlock(locked + count * kPage, kPage) == 0) ++count;
    CHECK(count > 0);
    char* const made = map_file(file, kPages / 2);
    CHECK(holds(made, 0, kPages / 2, kFile) && resident_pages(made, kPages / 2) == kPages / 2);
    CHECK(map_file(file, kPages / 2, 0, memory, MAP_FIXED) == memory);
    CHECK(holds(memory, 0, kPages / 2, kFile) && holds(memory, kPages / 2, kPages / 2, kWritten));
    CHECK(munlock(locked, count * kPage) == 0);
    CHECK(munmap(made, kPages / 2 * kPage) == 0 && munmap(memory, kPages * kPage) == 0);
    CHECK(munmap(locked, kLimitPages * kPage) == 0);
    close(file);
}

bool fails_with(int error, int file, off_t offset = 0, void* address = nullptr, int flags = 0) {
    return mmap(address, 100 * kPage, kPlain, MAP_PRIVATE | flags, file, offset) == MAP_FAILED && errno == error;
}

void errors_are_those_of_the_kernel() {
    const int file = make_file();
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const int only_writable = open(path, O_WRONLY);
    const int folder = open("/", O_RDONLY | O_DIRECTORY);
    char* const memory = map_new_file();
    write_to(memory, 0, kPages);
    struct Bad {
        int error;
        int file;
        off_t offset;
    };
    for (const Bad& bad :
         {Bad{EBADF, 9999, 0}, Bad{EACCES, only_writable, 0}, Bad{EINVAL, file, 100}, Bad{ENODEV, folder, 0}}) {
        CHECK(fails_with(bad.error, bad.file, bad.offset));
        CHECK(fails_with(bad.error, bad.file, bad.offset, memory, MAP_FIXED));
    }
    constexpr int kNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE
    CHECK(fails_with(EEXIST, file, 0, memory, kNoReplace));
    CHECK(holds(memory, 0, kPages, kWritten));
    CHECK(munmap(memory, kPages * kPage) == 0);
    for (const int each : {file, only_writable, folder}) close(each);
}

}  // namespace

int main() {
    catch_faults();
    a_mapping_has_the_bytes_of_the_file();
    writes_stay_in_memory_and_do_not_reach_the_file();
    a_mapping_needs_no_descriptor();
    munmap_leaves_record_locks_alone();
    zeros_follow_the_end_of_the_file_in_its_last_page();
    pages_behind_the_end_of_the_file_raise_signals();
    a_fixed_mapping_replaces_part_of_a_reservation();
    raw_calls_make_the_same_mapping();
    munmap_of_a_part_leaves_the_rest();
    dontneed_brings_the_bytes_of_the_file_back();
    dontneed_refuses_locked_pages();
    dontneed_follows_the_order_of_addresses();
    advice_for_anonymous_memory_is_refused();
    zeros_that_replace_a_part_stay_zeros();
    protection_holds_and_keeps_the_contents();
    mremap_shows_more_of_the_file();
    a_child_of_fork_has_a_copy();
    system_calls_use_the_memory();
    a_mapping_works_when_all_memory_is_locked();
    errors_are_those_of_the_kernel();
    std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
// NOLINTEND
