// Memory system calls (mprotect, madvise, mlock, mmap, ...) on memory from malloc: each does what it does to memory
// from mmap, or fails with an errno and changes nothing. The test makes every call on both, in the same state, and
// compares what the program can observe. Runs with libfaultline-preload.so preloaded, and without. Prints each
// difference and exits with 1.

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

// NOLINTBEGIN: tests the C library's functions
namespace {

constexpr std::size_t kPage = 4096;
constexpr unsigned char kFill = 0xa5;

int failures = 0;
const bool managed = std::getenv("LD_PRELOAD") != nullptr;

#define CHECK(...)                                                                      \
    do {                                                                                \
        if (!(__VA_ARGS__)) {                                                           \
            std::printf("%s:%d: check failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            ++failures;                                                                 \
        }                                                                               \
    } while (false)

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{768} << 10;
    static auto* const much = static_cast<unsigned char*>(malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += kPage) much[i] = static_cast<unsigned char>(much[i] + 1);
}

// ---- what a program can observe

sigjmp_buf after_fault;
void on_fault(int) { siglongjmp(after_fault, 1); }

/// Runs `act`. Returns false if it raised SIGSEGV or SIGBUS.
template <typename Act>
bool survives(Act act) {
    struct sigaction action {};
    action.sa_handler = &on_fault;
    struct sigaction segv {};
    struct sigaction bus {};
    sigaction(SIGSEGV, &action, &segv);
    sigaction(SIGBUS, &action, &bus);
    bool survived = false;
    if (sigsetjmp(after_fault, 1) == 0) {
        act();
        survived = true;
    }
    sigaction(SIGSEGV, &segv, nullptr);
    sigaction(SIGBUS, &bus, nullptr);
    return survived;
}

/// Returns what one page holds: "kept", "zeros", "other", or "fault" if it is not readable.
const char* contents(const unsigned char* page) {
    bool kept = true;
    bool zeros = true;
    const bool readable = survives([&] {
        const volatile unsigned char* at = page;
        for (std::size_t i = 0; i < kPage; ++i) {
            kept = kept && at[i] == kFill;
            zeros = zeros && at[i] == 0;
        }
    });
    return !readable ? "fault" : kept ? "kept" : zeros ? "zeros" : "other";
}

/// Returns the contents of the first, middle and last page: one word if they are equal, else "mixed".
std::string all_contents(const unsigned char* block, std::size_t bytes) {
    const std::string_view first = contents(block);
    for (const std::size_t page : {bytes / kPage / 2, bytes / kPage - 1}) {
        if (contents(block + page * kPage) != first) return "mixed";
    }
    return std::string{first};
}

bool writable(unsigned char* block) {
    return survives([&] {
        volatile unsigned char* const at = block;
        *at = *at;
    });
}

bool runs_code(unsigned char* block) {
    return survives([&] { reinterpret_cast<void (*)()>(block)(); });
}

std::string contents_in_child(const unsigned char* block, std::size_t bytes) {
    static constexpr const char* kWords[] = {"kept", "zeros", "fault", "other", "mixed"};
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const std::string seen = all_contents(block, bytes);
        for (int i = 0; i < 5; ++i) {
            if (seen == kWords[i]) _exit(i);
        }
        _exit(99);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) < 5 ? kWords[WEXITSTATUS(status)] : "killed";
}

struct Seen {
    int error = 0;
    std::string contents;
    std::string later;  // the contents after an eviction
    std::string child;
    bool writable = false;
    bool operator==(const Seen&) const = default;
    [[nodiscard]] std::string text() const {
        return "errno " + std::to_string(error) + ", " + contents + ", later " + later + ", child " + child +
               (writable ? ", writable" : ", not writable");
    }
};

const Seen kUnchanged{0, "kept", "kept", "kept", true};

// ---- the calls

using Block = unsigned char*;

struct Case {
    const char* name;
    int (*call)(Block block, std::size_t bytes);  // 0 or an errno
    bool may_lose_contents = false;               // MADV_FREE: pages become zeros at any time
    bool of_many = false;                         // also run on more pages than the limit
};

int result(long returned) { return returned == -1 ? errno : 0; }
int pointer_result(const void* returned) { return returned == MAP_FAILED ? errno : 0; }

template <int kAdvice>
int advise(Block block, std::size_t bytes) {
    return result(madvise(block, bytes, kAdvice));
}
template <int kAdvice>
int advise_by_number(Block block, std::size_t bytes) {
    return result(syscall(SYS_madvise, block, bytes, kAdvice));
}
template <int kProtection>
int protect(Block block, std::size_t bytes) {
    return result(mprotect(block, bytes, kProtection));
}
template <int kProtection>
int map_over(Block block, std::size_t bytes) {
    return pointer_result(mmap(block, bytes, kProtection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

int map_file_over(Block block, std::size_t bytes) {
    const int fd = open("/proc/self/exe", O_RDONLY);
    const int error = pointer_result(mmap(block, std::min(bytes, kPage), PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0));
    close(fd);
    return error;
}

int move_away(Block block, std::size_t bytes) {
    void* const room = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pointer_result(mremap(block, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room));
}

int move_something_there(Block block, std::size_t bytes) {
    void* const other = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int error = pointer_result(mremap(other, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, block));
    if (error != 0) munmap(other, bytes);
    return error;
}

int advise_of_process(Block block, std::size_t bytes) {
    const int self = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
    const iovec range{block, bytes};
    const int error = result(syscall(SYS_process_madvise, self, &range, 1, MADV_COLD, 0));
    close(self);
    return error;
}

int lock_and_unlock(Block block, std::size_t bytes) {
    const int error = result(mlock(block, bytes));
    return error != 0 ? error : result(munlock(block, bytes));
}

/// MADV_DONTNEED must not drop locked memory.
int drop_locked(Block block, std::size_t bytes) {
    if (const int error = result(mlock(block, bytes))) return error;
    const int error = result(madvise(block, bytes, MADV_DONTNEED));
    munlock(block, bytes);
    return error;
}

const Case kCases[] = {
    {"DONTNEED", advise<MADV_DONTNEED>, false, true},
    {"DONTNEED by syscall()", advise_by_number<MADV_DONTNEED>},
    {"DONTNEED_LOCKED", advise<24>},
    {"FREE", advise<MADV_FREE>, true},
    {"REMOVE", advise<MADV_REMOVE>},
    {"WIPEONFORK", advise<MADV_WIPEONFORK>, false, true},
    {"WIPEONFORK, then KEEPONFORK",
     [](Block block, std::size_t bytes) {
         const int error = advise<MADV_WIPEONFORK>(block, bytes);
         return error != 0 ? error : advise<MADV_KEEPONFORK>(block, bytes);
     }},
    {"DONTFORK", advise<MADV_DONTFORK>},
    {"DOFORK", advise<MADV_DOFORK>},
    {"MERGEABLE", advise<MADV_MERGEABLE>},
    {"UNMERGEABLE", advise<MADV_UNMERGEABLE>},
    {"HUGEPAGE", advise<MADV_HUGEPAGE>},
    {"NOHUGEPAGE", advise<MADV_NOHUGEPAGE>},
    {"COLLAPSE", advise<25>},
    {"DONTDUMP", advise<MADV_DONTDUMP>},
    {"DODUMP", advise<MADV_DODUMP>},
    {"NORMAL", advise<MADV_NORMAL>},
    {"RANDOM", advise<MADV_RANDOM>},
    {"SEQUENTIAL", advise<MADV_SEQUENTIAL>},
    {"WILLNEED", advise<MADV_WILLNEED>},
    {"COLD", advise<MADV_COLD>},
    {"PAGEOUT", advise<MADV_PAGEOUT>},
    {"POPULATE_READ", advise<22>},
    {"POPULATE_WRITE", advise<23>, false, true},
    {"GUARD_INSTALL", advise<102>},
    {"unknown advice", advise<12345>},
    {"posix_madvise DONTNEED",
     [](Block block, std::size_t bytes) { return posix_madvise(block, bytes, POSIX_MADV_DONTNEED); }},
    {"process_madvise COLD", advise_of_process},
    {"mprotect none", protect<PROT_NONE>},
    {"mprotect read", protect<PROT_READ>, false, true},
    {"mprotect read, write", protect<PROT_READ | PROT_WRITE>},
    {"mprotect read, execute", protect<PROT_READ | PROT_EXEC>},
    {"mprotect all", protect<PROT_READ | PROT_WRITE | PROT_EXEC>},
    {"mprotect none and back",
     [](Block block, std::size_t bytes) {
         const int error = protect<PROT_NONE>(block, bytes);
         return error != 0 ? error : protect<PROT_READ | PROT_WRITE>(block, bytes);
     }},
    {"mprotect with an invalid protection", protect<0x4000>},
    {"mprotect at an odd address",
     [](Block block, std::size_t bytes) { return result(mprotect(block + 8, bytes, PROT_NONE)); }},
    {"DONTNEED at an odd address",
     [](Block block, std::size_t bytes) { return result(madvise(block + 8, bytes, MADV_DONTNEED)); }},
    {"DONTNEED of nothing", [](Block block, std::size_t) { return result(madvise(block, 0, MADV_DONTNEED)); }},
    {"DONTNEED of all addresses",
     [](Block block, std::size_t) { return result(madvise(block, SIZE_MAX - 8192, MADV_DONTNEED)); }},
    {"mmap over it", map_over<PROT_READ | PROT_WRITE>, false, true},
    {"mmap over it, no access", map_over<PROT_NONE>},
    {"mmap over it, for reading", map_over<PROT_READ>},
    {"mmap of a file over it", map_file_over},
    {"munmap", [](Block block, std::size_t bytes) { return result(munmap(block, bytes)); }},
    {"mremap, same size",
     [](Block block, std::size_t bytes) { return pointer_result(mremap(block, bytes, bytes, 0)); }},
    {"mremap away", move_away},
    {"mremap of something else to it", move_something_there},
    {"mlock", lock_and_unlock, false, true},
    {"mlock, DONTNEED", drop_locked},
    {"mlock2 on fault", [](Block block, std::size_t bytes) { return result(mlock2(block, bytes, MLOCK_ONFAULT)); }},
    {"munlock of what is not locked", [](Block block, std::size_t bytes) { return result(munlock(block, bytes)); }},
    {"msync", [](Block block, std::size_t bytes) { return result(msync(block, bytes, MS_SYNC)); }},
};

// ---- comparing

enum class Kind : bool { ordinary, from_malloc };
enum class State : bool { resident, absent };

Seen seen_of(const Case& each, Block block, std::size_t bytes, Kind kind, State state) {
    std::memset(block, kFill, bytes);
    if (kind == Kind::from_malloc && state == State::absent) push_out();
    Seen seen;
    seen.error = each.call(block, bytes);
    seen.contents = all_contents(block, bytes);
    seen.writable = writable(block);
    if (kind == Kind::from_malloc) push_out();
    seen.later = all_contents(block, bytes);
    seen.child = contents_in_child(block, bytes);
    return seen;
}

/// Returns whether the call on memory from malloc did what it did on ordinary memory, or failed and changed nothing, as
/// on a kernel without the call.
bool right(const Case& each, const Seen& seen, const Seen& ordinary) {
    Seen unchanged = kUnchanged;
    unchanged.error = seen.error;
    if (seen.error != 0 && seen == unchanged) return true;
    if (!each.may_lose_contents) return seen == ordinary;
    const auto fine = [](const std::string& contents) { return contents == "kept" || contents == "zeros"; };
    return seen.error == ordinary.error && fine(seen.contents) && fine(seen.later) && fine(seen.child);
}

Block ordinary_block(std::size_t bytes) {
    return static_cast<Block>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

Block managed_block(std::size_t bytes) {
    void* block = nullptr;
    return posix_memalign(&block, kPage, bytes) == 0 ? static_cast<Block>(block) : nullptr;
}

/// Blocks beside the tested one, which a call must not change.
struct Neighbours {
    explicit Neighbours(std::size_t bytes) : bytes_{bytes} {
        for (Block& each : around_) each = managed_block(bytes_);
        for (const Block each : around_) std::memset(each, kFill, bytes_);
    }
    ~Neighbours() {
        for (const Block each : around_) free(each);
    }
    [[nodiscard]] Block take(int number) { return std::exchange(around_[number], nullptr); }
    [[nodiscard]] bool are_right() const {
        return std::all_of(std::begin(around_), std::end(around_),
                           [&](const Block each) { return each == nullptr || all_contents(each, bytes_) == "kept"; });
    }

private:
    std::size_t bytes_;
    Block around_[3] = {};
};

void compare(const Case& each, std::size_t pages, State state) {
    const std::size_t bytes = pages * kPage;
    const Seen ordinary = seen_of(each, ordinary_block(bytes), bytes, Kind::ordinary, state);
    Neighbours neighbours{bytes};
    const Block block = neighbours.take(1);
    const Seen seen = seen_of(each, block, bytes, Kind::from_malloc, state);
    if (!right(each, seen, ordinary)) {
        std::printf("%s of %zu pages, %s: %s; ordinary memory: %s\n", each.name, pages,
                    state == State::absent ? "absent" : "resident", seen.text().c_str(), ordinary.text().c_str());
        ++failures;
    }
    CHECK(neighbours.are_right());
    if (mprotect(block, bytes, PROT_READ | PROT_WRITE) != 0 || !writable(block)) return;  // without the preload
    munlock(block, bytes);
    madvise(block, bytes, MADV_KEEPONFORK);
    std::memset(block, 1, bytes);
    free(block);
}

// ---- cases that do not fit the table

/// Locked memory keeps its contents. The same pages can be locked and unlocked any number of times.
void locks() {
    const std::size_t bytes = 16 * kPage;
    const Block block = managed_block(bytes);
    std::memset(block, kFill, bytes);
    CHECK(mlock(block + 5, bytes - 10) == 0);
    CHECK(mlock(block, bytes) == 0);
    push_out();
    CHECK(all_contents(block, bytes) == "kept");
    CHECK(munlock(block, bytes / 2) == 0);
    push_out();
    CHECK(munlock(block, bytes) == 0 && munlock(block, bytes) == 0);
    for (int i = 0; i < 200; ++i) CHECK(mlock(block, bytes) == 0 && munlock(block, bytes) == 0);
    for (int i = 0; i < 200; ++i) CHECK(mlock(block, bytes) == 0);
    CHECK(munlockall() == 0);
    CHECK(madvise(block, bytes, MADV_DONTNEED) == 0 && all_contents(block, bytes) == "zeros");
    free(block);
}

/// mlockall() succeeds or is refused; it never hangs and never changes contents.
void locking_everything() {
    const pid_t child = fork();
    if (child == 0) {
        const Block block = managed_block(std::size_t{2} << 20);
        std::memset(block, kFill, std::size_t{2} << 20);
        const bool done = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
        const bool told = done || errno == ENOMEM || errno == EPERM;
        const bool right = all_contents(block, std::size_t{2} << 20) == "kept";
        munlockall();
        _exit(told && right ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/// A robust mutex in locked memory reports EOWNERDEAD: the kernel can read it when its owner ends.
void robust_mutexes() {
    const Block block = managed_block(kPage);
    CHECK(mlock(block, kPage) == 0);
    auto* const mutex = new (block) pthread_mutex_t;
    pthread_mutexattr_t robust;
    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &robust);
    std::thread{[mutex] {
        pthread_mutex_lock(mutex);
        push_out();
    }}.join();
    CHECK(pthread_mutex_trylock(mutex) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
    pthread_mutex_destroy(mutex);
    CHECK(munlock(block, kPage) == 0);
    free(block);
}

/// Memory with PROT_EXEC stays executable after an eviction and in a child of fork.
void code() {
    static constexpr unsigned char kReturn[] = {0xc3};
    const Block block = managed_block(kPage);
    std::memset(block, 0xcc, kPage);
    if (mprotect(block, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) == 0) {
        std::memcpy(block, kReturn, sizeof kReturn);
        CHECK(runs_code(block));
        push_out();
        CHECK(runs_code(block) && writable(block));
        const pid_t child = fork();
        if (child == 0) _exit(runs_code(block) && writable(block) ? 0 : 1);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    } else {
        CHECK(errno == EACCES);
    }
    CHECK(mprotect(block, kPage, PROT_READ | PROT_WRITE) == 0);
    std::memcpy(block, kReturn, sizeof kReturn);
    CHECK(mprotect(block, kPage, PROT_READ | PROT_EXEC) == 0);
    CHECK(runs_code(block) && !writable(block));
    push_out();
    CHECK(runs_code(block) && !writable(block));
    CHECK(mprotect(block, kPage, PROT_READ | PROT_WRITE) == 0 && writable(block));
    free(block);
}

/// Freeing a block ends the protection, locks and advice of its pages.
void blocks_that_are_freed() {
    const std::size_t bytes = 64 * kPage;
    for (int turn = 0; turn < 20; ++turn) {
        const Block block = managed_block(bytes);
        std::memset(block, kFill, bytes);
        CHECK(all_contents(block, bytes) == "kept" && contents_in_child(block, bytes) == "kept");
        CHECK(madvise(block, bytes, MADV_WIPEONFORK) == 0);
        CHECK(mlock(block, 2 * kPage) == 0);
        CHECK(mprotect(block + 8 * kPage, 8 * kPage, PROT_READ) == 0);
        if (managed) free(block);
    }
}

/// System calls on protected memory fail with EFAULT as they do on ordinary memory.
void calls_on_protected_memory() {
    int ends[2];
    CHECK(pipe(ends) == 0);
    const Block block = managed_block(2 * kPage);
    std::memset(block, kFill, 2 * kPage);
    CHECK(mprotect(block, kPage, PROT_READ) == 0);
    push_out();
    CHECK(write(ends[1], block, kPage) == static_cast<ssize_t>(kPage));
    CHECK(read(ends[0], block, 10) == -1 && errno == EFAULT);
    CHECK(read(ends[0], block + kPage, kPage) == static_cast<ssize_t>(kPage));
    CHECK(mprotect(block, kPage, PROT_NONE) == 0);
    push_out();
    CHECK(write(ends[1], block, kPage) == -1 && errno == EFAULT);
    CHECK(mprotect(block, kPage, PROT_READ | PROT_WRITE) == 0 && all_contents(block, 2 * kPage) == "kept");
    close(ends[0]);
    close(ends[1]);
    free(block);
}

/// Memory keeps its contents after the process asks for merging of its pages.
void merging() {
    const pid_t child = fork();
    if (child == 0) {
        const Block block = managed_block(64 * kPage);
        std::memset(block, kFill, 64 * kPage);
        push_out();
        const bool asked = prctl(67, 1, 0, 0, 0) == 0 || errno == EINVAL;  // PR_SET_MEMORY_MERGE
        _exit(asked && all_contents(block, 64 * kPage) == "kept" ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/// Calls on ranges outside the heap reach the kernel.
void ranges_across() {
    // The range is not mapped: the kernel returns ENOMEM.
    CHECK(madvise(reinterpret_cast<void*>(kPage), kPage, MADV_DONTNEED) == -1 && errno == ENOMEM);
    CHECK(mprotect(reinterpret_cast<void*>(kPage), kPage, PROT_READ) == -1 && errno == ENOMEM);
}

}  // namespace

int main() {
    for (const Case& each : kCases) {
        compare(each, 3, State::resident);
        compare(each, 3, State::absent);
        if (each.of_many) compare(each, 160, State::absent);
    }
    locks();
    locking_everything();
    robust_mutexes();
    code();
    blocks_that_are_freed();
    calls_on_protected_memory();
    merging();
    ranges_across();
    std::printf(failures == 0 ? "no differences\n" : "%d differences\n", failures);
    return failures == 0 ? 0 : 1;
}
// NOLINTEND
