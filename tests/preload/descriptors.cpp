// A program closes descriptors that it has not opened. Runs with libfaultline-preload.so preloaded, and without.
// `descriptors` closes them in every way that the C library offers. `descriptors closed` is started with descriptors 0
// to 2 closed, and checks that they stay closed.

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// NOLINTBEGIN
namespace {

// The exit code depends on the line: standard error may be closed.
#define CHECK(...)                                                                     \
    do {                                                                               \
        if (!(__VA_ARGS__)) {                                                          \
            dprintf(2, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            _exit(__LINE__ % 199 + 1);                                                 \
        }                                                                              \
    } while (false)

constexpr std::size_t kBytes = std::size_t{4} << 20;
unsigned char* const memory = static_cast<unsigned char*>(malloc(kBytes));

unsigned char byte_of(std::size_t at, unsigned round) { return static_cast<unsigned char>(at / 4096 + round * 7); }

/// Writes more than the limit and reads it back, which needs the swap file and the fault delivery.
void use_memory(unsigned round) {
    for (std::size_t at = 0; at < kBytes; at += 1024) memory[at] = byte_of(at, round);
    for (std::size_t at = 0; at < kBytes; at += 1024) CHECK(memory[at] == byte_of(at, round));
}

bool is_open(int fd) { return syscall(SYS_fcntl, fd, F_GETFD) >= 0; }

bool standard_ones_are_closed = false;

void check_that_they_stay_closed() {
    for (int fd = 0; fd < 3; ++fd) CHECK(!is_open(fd));
}

void use_memory_here_and_in_child(unsigned round) {
    use_memory(round);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (std::size_t at = 0; at < kBytes; at += 1024) CHECK(memory[at] == byte_of(at, round));
        use_memory(round + 1);
        if (standard_ones_are_closed) check_that_they_stay_closed();
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    use_memory(round + 2);
}

int close_to_the_last() {
    int others = 0;
    for (int fd = 3; fd < 2000; ++fd) {
        if (!is_open(fd)) continue;
        ++others;
        errno = 0;
        CHECK(dup2(0, fd) == -1 && errno == EBADF);
        errno = 0;
        CHECK(close(fd) == -1 && errno == EBADF);
    }
    return others;
}

/// Returns true for the library's threads that use its files. The keeper has a table of descriptors of its own.
bool uses_files_of_the_library(const char* thread) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", thread);
    char name[32] = {};
    const int fd = open(path, O_RDONLY);
    if (fd < 0) return false;  // it has ended
    const ssize_t length = read(fd, name, sizeof name - 1);
    close(fd);
    if (length < 0) return false;  // likewise
    return strncmp(name, "fl-", 3) == 0 && strncmp(name, "fl-keeper", 9) != 0;
}

/// Checks that a descriptor that this thread opens is one of the library's threads, too.
void check_that_threads_share_descriptors() {
    const int fd = open("/dev/null", O_RDONLY);
    CHECK(fd >= 0);
    DIR* const threads = opendir("/proc/self/task");
    CHECK(threads != nullptr);
    while (const dirent* const thread = readdir(threads)) {
        if (thread->d_name[0] == '.' || !uses_files_of_the_library(thread->d_name)) continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/task/%.16s/fd/%d", thread->d_name, fd);
        CHECK(faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    }
    closedir(threads);
    close(fd);
}

/// With delivery by threads the library does not see system calls that the program makes itself.
bool raw_calls_are_dispatched() {
    const char* const delivery = getenv("FAULTLINE_DELIVERY");
    return delivery == nullptr || strcmp(delivery, "uffd_threads") != 0;
}

void closed_in_every_way() {
    closefrom(3);  // descriptors that ctest left open
    use_memory_here_and_in_child(1);
    const bool preloaded = close_to_the_last() > 0;
    CHECK(preloaded == (getenv("LD_PRELOAD") != nullptr));
    use_memory_here_and_in_child(4);
    CHECK(close_range(3, UINT_MAX, 0) == 0);
    use_memory_here_and_in_child(7);
    CHECK(close_range(3, UINT_MAX, CLOSE_RANGE_UNSHARE) == 0);
    check_that_threads_share_descriptors();
    use_memory_here_and_in_child(10);
    if (raw_calls_are_dispatched()) {
        CHECK(syscall(SYS_close_range, 3, UINT_MAX, CLOSE_RANGE_UNSHARE) == 0);
        check_that_threads_share_descriptors();
        use_memory_here_and_in_child(13);
        errno = 0;
        CHECK(syscall(SYS_close_range, 3, 2, CLOSE_RANGE_UNSHARE) == -1 && errno == EINVAL);
    }
    // The program gets the lowest free number, unless the limit is so low that the library needed low numbers itself.
    rlimit limit{};
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const int fd = open("/dev/null", O_RDONLY);
    CHECK(limit.rlim_cur < 96 ? fd > 2 : fd == 3);
    close(fd);
}

/// Closes every descriptor that /proc/self/fd lists, as daemons do.
void closed_by_a_daemon() {
    const pid_t child = fork();
    if (child == 0) {
        DIR* const folder = opendir("/proc/self/fd");
        CHECK(folder != nullptr);
        while (const dirent* const entry = readdir(folder)) {
            const int fd = atoi(entry->d_name);
            if (fd > 2 && fd != dirfd(folder)) close(fd);
        }
        closedir(folder);
        use_memory_here_and_in_child(20);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/// A child cannot inherit its memory without descriptors for its swap file. It ends at once; its parent goes on.
void a_child_without_memory_ends() {
    use_memory(23);
    rlimit limit{};
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit none{3, limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(memory[0] == byte_of(0, 23));
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == (getenv("LD_PRELOAD") != nullptr ? 125 : 0));
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(memory[0] == byte_of(0, 23));
    use_memory_here_and_in_child(24);
}

void stay_closed() {
    standard_ones_are_closed = true;
    check_that_they_stay_closed();
    use_memory_here_and_in_child(1);
    check_that_they_stay_closed();
    printf("this goes nowhere\n");
    CHECK(fflush(stdout) != 0 && errno == EBADF);
    use_memory_here_and_in_child(4);
}

}  // namespace
// NOLINTEND

int main(int count, char** arguments) {
    if (count > 1 && std::strcmp(arguments[1], "closed") == 0) {
        stay_closed();
    } else {
        closed_in_every_way();
        closed_by_a_daemon();
        a_child_without_memory_ends();
    }
    return 0;
}
