// Calls on memory that the program maps: transfers into memory that it may not write to, reservations at the kernel's
// limit of mappings, MADV_DONTFORK, mincore, small mappings, MAP_32BIT, MAP_LOCKED. Runs with libfaultline-preload.so
// preloaded, and without: the same must hold. Prints each failed check and exits with 1.

#include "counted_checks.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
constexpr std::size_t kLarge = std::size_t{4} << 20;  // more than one call may pin

constexpr std::size_t kLimit = std::size_t{1} << 20;  // of the runs with the preload

char* map_filled(std::size_t bytes) {
    void* const made = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(made != MAP_FAILED);
    std::memset(made, 'x', bytes);
    return static_cast<char*>(made);
}

bool holds(const char* memory, std::size_t bytes, char wanted) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (memory[i] != wanted) return false;
    }
    return true;
}

/// A file of `kLarge` bytes: 'f'.
int make_file() {
    const int file = memfd_create("a file", 0);
    char part[kPage];
    std::memset(part, 'f', sizeof part);
    for (std::size_t i = 0; i < kLarge; i += kPage) CHECK(write(file, part, kPage) == static_cast<ssize_t>(kPage));
    return file;
}

void reads_into_read_only_memory() {
    const int file = make_file();
    char* const memory = map_filled(kLarge);
    CHECK(mprotect(memory, kLarge, PROT_READ) == 0);
    CHECK(pread(file, memory, 100, 0) == -1 && errno == EFAULT);
    CHECK(pread(file, memory, kLarge, 0) == -1 && errno == EFAULT);
    CHECK(holds(memory, kLarge, 'x'));
    CHECK(mprotect(memory, kLarge / 2, PROT_READ | PROT_WRITE) == 0);
    CHECK(pread(file, memory, kLarge, 0) == static_cast<ssize_t>(kLarge / 2));
    CHECK(holds(memory, kLarge / 2, 'f') && holds(memory + kLarge / 2, kLarge / 2, 'x'));
    munmap(memory, kLarge);
    close(file);
}

void receives_into_read_only_memory() {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    char message[1000];
    std::memset(message, 'm', sizeof message);
    char* const memory = map_filled(kLarge);
    CHECK(mprotect(memory, kLarge, PROT_READ) == 0);
    CHECK(send(ends[0], message, sizeof message, 0) == static_cast<ssize_t>(sizeof message));
    CHECK(recv(ends[1], memory, kLarge, MSG_DONTWAIT) == -1 && errno == EFAULT);
    CHECK(holds(memory, kLarge, 'x'));
    munmap(memory, kLarge);
    close(ends[0]);
    close(ends[1]);
}

void results_in_read_only_memory() {
    char* const memory = map_filled(std::size_t{64} << 10);
    CHECK(mprotect(memory, kPage, PROT_READ) == 0);
    CHECK(fstat(0, reinterpret_cast<struct stat*>(memory)) == -1 && errno == EFAULT);
    CHECK(pipe(reinterpret_cast<int*>(memory + 64)) == -1 && errno == EFAULT);
    CHECK(holds(memory, kPage, 'x'));
    munmap(memory, std::size_t{64} << 10);
}

/// Opens every other page of a reservation until the kernel has no mapping left.
void reservation_at_the_limit_of_mappings() {
    constexpr std::size_t kPages = 200'000;
    char* const memory = static_cast<char*>(
        mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    CHECK(memory != MAP_FAILED);
    std::size_t page = 0;
    while (page < kPages && mprotect(memory + page * kPage, kPage, PROT_READ | PROT_WRITE) == 0) page += 2;
    CHECK(page < kPages && errno == ENOMEM);
    unsigned char present = 0;
    CHECK(mincore(memory + page * kPage, kPage, &present) == 0);  // ENOMEM: nothing is mapped there
    CHECK(mprotect(memory, page * kPage, PROT_NONE) == 0 || errno == ENOMEM);
    CHECK(munmap(memory, (page - 64) * kPage) == 0);
    CHECK(mprotect(memory + page * kPage, kPage, PROT_READ | PROT_WRITE) == 0);
    memory[page * kPage] = 'y';
    CHECK(munmap(memory, kPages * kPage) == 0);
}

bool is_mapped(const char* memory) {
    unsigned char present = 0;
    return mincore(const_cast<char*>(memory), kPage, &present) == 0;
}

void children_without_memory() {
    char* const memory = map_filled(64 * kPage);
    CHECK(madvise(memory, 48 * kPage, MADV_DONTFORK) == 0);
    CHECK(madvise(memory, 16 * kPage, MADV_DOFORK) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const bool right = is_mapped(memory) && !is_mapped(memory + 16 * kPage) && !is_mapped(memory + 47 * kPage) &&
                           is_mapped(memory + 48 * kPage) && holds(memory, 16 * kPage, 'x') &&
                           holds(memory + 48 * kPage, 16 * kPage, 'x');
        _exit(right ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(holds(memory, 64 * kPage, 'x'));
    CHECK(madvise(memory, kPage, MADV_REMOVE) == -1 && errno == EINVAL);
    munmap(memory, 64 * kPage);
}

std::size_t resident_pages(char* memory, std::size_t pages) {
    std::vector<unsigned char> present(pages);
    CHECK(mincore(memory, pages * kPage, present.data()) == 0);
    std::size_t count = 0;
    for (const unsigned char page : present) count += page & 1U;
    return count;
}

/// mincore tells which pages are in memory: with the preload, no more than the limit.
void resident_pages_are_those_of_mincore() {
    constexpr std::size_t kPages = kLarge / kPage;
    char* const memory = static_cast<char*>(
        mmap(nullptr, kLarge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    CHECK(resident_pages(memory, kPages) == 0);
    memory[3 * kPage] = 1;
    CHECK(resident_pages(memory, kPages) == 1 && resident_pages(memory + 3 * kPage, 1) == 1);
    std::memset(memory, 'x', kLarge);
    CHECK(resident_pages(memory, kPages) <= (managed ? kLimit / kPage : kPages));
    CHECK(madvise(memory, kLarge, MADV_PAGEOUT) == 0);
    CHECK(!managed || resident_pages(memory, kPages) == 0);
    CHECK(madvise(memory, kLarge, MADV_DONTNEED) == 0);
    CHECK(resident_pages(memory, kPages) == 0);
    munmap(memory, kLarge);
}

/// Thousands of small mappings are held to the limit, too.
void small_mappings_are_managed() {
    constexpr std::size_t kCount = 1000;
    static char* all[kCount];
    for (std::size_t i = 0; i < kCount; ++i) {
        all[i] = map_filled(kPage);
        all[i][0] = static_cast<char>(i);
    }
    std::size_t resident = 0;
    for (char* const one : all) resident += resident_pages(one, 1);
    CHECK(resident <= (managed ? kLimit / kPage : kCount));
    for (std::size_t i = 0; i < kCount; ++i) CHECK(all[i][0] == static_cast<char>(i) && all[i][kPage - 1] == 'x');
    for (char* const one : all) CHECK(munmap(one, kPage) == 0);
}

void low_addresses() {
    void* const low = mmap(nullptr, kLarge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(low != MAP_FAILED && reinterpret_cast<std::uintptr_t>(low) + kLarge <= std::uintptr_t{1} << 31);
    munmap(low, kLarge);
}

void* map_locked(std::size_t bytes, void* address = nullptr, int flags = 0) {
    return mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | flags, -1, 0);
}

/// Without the capability that lifts the limit of locked memory.
void locked_mappings_within_their_limit() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    CHECK(syscall(SYS_capget, &header, data) == 0);
    data[0].effective &= ~(1U << CAP_IPC_LOCK);
    CHECK(syscall(SYS_capset, &header, data) == 0);
    rlimit limit{16 * kPage, 16 * kPage};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    char* const locked = static_cast<char*>(map_locked(8 * kPage));
    CHECK(locked != MAP_FAILED);
    char* const plain = map_filled(kLarge);
    CHECK(resident_pages(locked, 8) == 8);
    CHECK(madvise(locked, kPage, MADV_DONTNEED) == -1 && errno == EINVAL);
    CHECK(map_locked(9 * kPage) == MAP_FAILED && errno == EAGAIN);
    CHECK(map_locked(9 * kPage, plain, MAP_FIXED) == MAP_FAILED && errno == EAGAIN);
    CHECK(holds(plain, kLarge, 'x'));
    CHECK(munlock(locked, 8 * kPage) == 0);
    CHECK(map_locked(9 * kPage, plain, MAP_FIXED) == plain && plain[0] == 0);
    CHECK(munmap(plain, kLarge) == 0 && munmap(locked, 8 * kPage) == 0);
    limit = {};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK(map_locked(kPage) == MAP_FAILED && errno == EPERM);
}

}  // namespace

int main() {
    reads_into_read_only_memory();
    receives_into_read_only_memory();
    results_in_read_only_memory();
    children_without_memory();
    reservation_at_the_limit_of_mappings();
    resident_pages_are_those_of_mincore();
    small_mappings_are_managed();
    low_addresses();
    locked_mappings_within_their_limit();
    std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
// NOLINTEND
