// malloc and its family, operators new and delete, and system calls on the memory that they return, as an unmodified
// program uses them. Runs with libfaultline-preload.so preloaded, and without. Prints each check that fails and exits
// with 1.

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// NOLINTBEGIN: tests the C library's functions
namespace {

int failures = 0;

#define CHECK(...)                                                                      \
    do {                                                                                \
        if (!(__VA_ARGS__)) {                                                           \
            std::printf("%s:%d: check failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            ++failures;                                                                 \
        }                                                                               \
    } while (false)

/// Returns `value` and hides it from the optimiser, which knows malloc.
template <typename T>
T opaque(T value) {
    asm volatile("" : "+r"(value) : : "memory");
    return value;
}

bool aligned(const void* block, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

unsigned char byte_of(std::uint64_t seed, std::size_t i) {
    return static_cast<unsigned char>((seed + i) * 0x9e3779b97f4a7c15 >> 56);
}

void fill(void* block, std::size_t bytes, std::uint64_t seed) {
    auto* const at = static_cast<unsigned char*>(block);
    for (std::size_t i = 0; i < bytes; ++i) at[i] = byte_of(seed, i);
}
bool holds(const void* block, std::size_t bytes, std::uint64_t seed) {
    const auto* const at = static_cast<const unsigned char*>(block);
    for (std::size_t i = 0; i < bytes; ++i) {
        if (at[i] != byte_of(seed, i)) return false;
    }
    return true;
}

template <typename T>
T* somewhere(std::size_t count = 1) {
    return static_cast<T*>(calloc(count, sizeof(T)));
}

char* byte_at(void* block, std::size_t offset) { return static_cast<char*>(block) + offset; }

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{2} << 20;
    static auto* const much = static_cast<unsigned char*>(malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += 4096) much[i] = static_cast<unsigned char>(much[i] + 1);
}

bool exited_with(pid_t child, int code) {
    auto* const status = somewhere<int>();
    push_out();
    const bool right = waitpid(child, status, 0) == child && WIFEXITED(*status) && WEXITSTATUS(*status) == code;
    free(status);
    return right;
}

// ---- allocating

void sizes() {
    void* const nothing = opaque(malloc(0));
    void* const nothing_else = opaque(malloc(0));
    CHECK(nothing != nullptr && nothing_else != nullptr && nothing != nothing_else);
    free(nothing);
    free(nothing_else);
    free(nullptr);
    for (std::size_t bytes = 1; bytes < 3'000'000; bytes += bytes / 3 + 1) {
        void* const block = malloc(bytes);
        CHECK(block != nullptr && aligned(block, 16) && malloc_usable_size(block) >= bytes);
        fill(block, bytes, bytes);
        CHECK(holds(block, bytes, bytes));
        free(block);
    }
}

void alignments() {
    for (std::size_t alignment = 8; alignment <= std::size_t{8} << 20; alignment *= 2) {
        void* block = nullptr;
        CHECK(posix_memalign(&block, alignment, 100) == 0 && aligned(block, alignment));
        void* const other = aligned_alloc(alignment, alignment);
        CHECK(other != nullptr && aligned(other, alignment));
        void* const third = memalign(alignment, 33);
        CHECK(third != nullptr && aligned(third, alignment));
        fill(block, 100, 1);
        fill(third, 33, 2);
        CHECK(holds(block, 100, 1) && holds(third, 33, 2));
        free(block);
        free(other);
        free(third);
    }
    void* block = nullptr;
    CHECK(posix_memalign(&block, opaque<std::size_t>(24), 8) == EINVAL);
    CHECK(posix_memalign(&block, opaque<std::size_t>(4), 8) == EINVAL);
    void* const page = valloc(10);
    void* const pages = pvalloc(4097);
    CHECK(aligned(page, 4096) && aligned(pages, 4096) && malloc_usable_size(pages) >= 8192);
    free(page);
    free(pages);
}

void overflows_and_errno() {
    const std::size_t too_much = opaque<std::size_t>(PTRDIFF_MAX) + 1;
    errno = 0;
    CHECK(opaque(calloc(opaque<std::size_t>(SIZE_MAX / 2), 3)) == nullptr && errno == ENOMEM);
    errno = 0;
    CHECK(opaque(malloc(too_much)) == nullptr && errno == ENOMEM);
    errno = 0;
    CHECK(opaque(reallocarray(nullptr, opaque<std::size_t>(SIZE_MAX / 4), 5)) == nullptr && errno == ENOMEM);
    void* block = malloc(100);
    fill(block, 100, 7);
    errno = 0;
    CHECK(opaque(realloc(block, too_much)) == nullptr && errno == ENOMEM && holds(block, 100, 7));
    errno = 5;
    free(block);
    CHECK(errno == 5);
    CHECK(posix_memalign(&block, 64, too_much - 1) == ENOMEM);
}

void zeros() {
    for (const std::size_t bytes : {1U, 100U, 4096U, 100'000U, 1'000'000U}) {
        for (int turn = 0; turn < 3; ++turn) {
            auto* const block = static_cast<unsigned char*>(calloc(bytes, 1));
            CHECK(block != nullptr && std::all_of(block, block + bytes, [](unsigned char c) { return c == 0; }));
            std::memset(block, 0xff, bytes);
            free(opaque(block));
        }
    }
}

void reallocations() {
    std::size_t had = 1;
    void* block = realloc(nullptr, 1);
    fill(block, 1, 3);
    for (const std::size_t bytes : {10U, 5000U, 100U, 200'000U, 3'000'000U, 1'000'000U, 4'000'000U, 50U}) {
        block = realloc(block, bytes);
        CHECK(block != nullptr && holds(block, std::min<std::size_t>(had, bytes), 3));
        fill(block, bytes, 3);
        had = bytes;
    }
    CHECK(realloc(block, 0) == nullptr);
    // A program may reallocate and free blocks that the C library allocated for it.
    char* text = strdup("from strdup");
    text = static_cast<char*>(realloc(text, 1'000'000));
    CHECK(std::string_view{text} == "from strdup");
    free(text);
    char* printed = nullptr;
    CHECK(asprintf(&printed, "%d", 12345) == 5);
    printed = static_cast<char*>(realloc(printed, 70'000));
    CHECK(std::string_view{printed} == "12345");
    free(printed);
    char* const folder = getcwd(nullptr, 0);
    CHECK(folder != nullptr && malloc_usable_size(folder) > 0);
    free(folder);
}

struct alignas(256) Wide {
    char bytes[512];
};

void operators() {
    delete opaque(new int{5});
    delete[] opaque(new int[1000]);
    auto* const wide = opaque(new Wide);
    auto* const many = opaque(new Wide[10]);
    CHECK(aligned(wide, 256) && aligned(many, 256));
    delete wide;
    delete[] many;
    delete opaque(new (std::nothrow) Wide);
    constexpr std::align_val_t kLine{64};
    ::operator delete (opaque(::operator new(100)), std::size_t{100});
    ::operator delete[](opaque(::operator new[](100, kLine)), std::size_t{100}, kLine);
    ::operator delete(opaque(::operator new(100, kLine, std::nothrow)), kLine, std::nothrow);
    const std::size_t too_much = opaque<std::size_t>(PTRDIFF_MAX);
    CHECK(opaque(::operator new(too_much, std::nothrow)) == nullptr);
    static int asked = 0;
    std::set_new_handler([] {
        if (++asked == 2) throw std::bad_alloc{};
    });
    bool thrown = false;
    try {
        ::operator delete(opaque(::operator new(too_much)));
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    std::set_new_handler(nullptr);
    CHECK(thrown && asked == 2 && std::uncaught_exceptions() == 0);
}

// ---- threads, processes

void threads() {
    constexpr std::size_t kBlocks = 3000;
    std::mutex mutex;
    std::condition_variable more;
    std::vector<std::pair<void*, std::size_t>> handed;
    bool done = false;
    std::thread consumer{[&] {
        for (;;) {
            std::unique_lock lock{mutex};
            more.wait(lock, [&] { return done || !handed.empty(); });
            if (handed.empty()) return;
            const auto [block, bytes] = handed.back();
            handed.pop_back();
            lock.unlock();
            CHECK(holds(block, bytes, bytes));
            free(block);
        }
    }};
    for (std::size_t i = 0; i < kBlocks; ++i) {
        const std::size_t bytes = i * 37 % 5000 + 1;
        void* const block = malloc(bytes);
        fill(block, bytes, bytes);
        const std::lock_guard lock{mutex};
        handed.emplace_back(block, bytes);
        more.notify_one();
    }
    {
        const std::lock_guard lock{mutex};
        done = true;
        more.notify_one();
    }
    consumer.join();
    // Destructors of thread-local objects free memory as late as any code of a thread.
    for (int i = 0; i < 50; ++i) {
        std::thread{[] {
            thread_local std::string text(1000, 'x');
            text += 'y';
        }}.join();
    }
}

/// A mutex and a condition variable in pages that are absent most of the time.
void locks() {
    struct Shared {
        std::mutex mutex;
        char far[8192];
        std::condition_variable turn_changed;
        int turn = 0;
    };
    auto* const shared = new Shared;
    const auto play = [&](int me) {
        for (int i = 0; i < 5; ++i) {
            std::unique_lock lock{shared->mutex};
            push_out();
            shared->turn_changed.wait(lock, [&] { return shared->turn % 2 == me; });
            ++shared->turn;
            push_out();
            shared->turn_changed.notify_all();
        }
    };
    std::thread other{play, 1};
    play(0);
    other.join();
    CHECK(shared->turn == 10);
    delete shared;
}

/// Returns whether the thread is in read(2), which is system call 0.
bool waits_in_read(pid_t thread) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
    char line[64] = {};
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0) return true;  // this kernel does not provide the file
    const ssize_t got = read(fd, line, sizeof line - 1);
    close(fd);
    return got <= 0 || std::string_view{line}.starts_with("0 0x");
}

/// A thread that is cancelled while it waits in the kernel is unwound, and its destructors run.
void cancellation() {
    static int ends[2];
    static std::atomic<int> cleaned{0};
    static std::atomic<pid_t> reading{0};
    CHECK(pipe(ends) == 0);
    pthread_t thread{};
    auto* const read_for_ever = +[](void*) -> void* {
        struct Buffer {
            void* block = malloc(10'000);
            ~Buffer() {
                free(block);
                ++cleaned;
            }
        } const buffer;
        reading = gettid();
        static_cast<void>(!read(ends[0], buffer.block, 10'000));
        return nullptr;
    };
    CHECK(pthread_create(&thread, nullptr, read_for_ever, nullptr) == 0);
    while (reading == 0 || !waits_in_read(reading)) std::this_thread::yield();
    CHECK(pthread_cancel(thread) == 0);
    void* result = nullptr;
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 1);
    close(ends[0]);
    close(ends[1]);
}

void forks() {
    constexpr std::size_t kBytes = 1'500'000;
    void* const block = malloc(kBytes);
    fill(block, kBytes, 11);
    for (std::uint64_t turn = 1; turn <= 3; ++turn) {
        const pid_t child = fork();
        if (child == 0) {
            if (!holds(block, kBytes, 11)) _exit(1);
            fill(block, kBytes, turn);
            void* const more = malloc(kBytes);
            fill(more, kBytes, turn + 1);
            if (!holds(block, kBytes, turn) || !holds(more, kBytes, turn + 1)) _exit(2);
            free(block);
            _exit(0);
        }
        CHECK(exited_with(child, 0));
        CHECK(holds(block, kBytes, 11));
    }
    free(block);
}

void programs() {
    char* const path = strdup("/bin/sh");
    auto** const arguments = somewhere<char*>(4);
    arguments[0] = strdup("sh");
    arguments[1] = strdup("-c");
    arguments[2] = strdup("test \"$WORD\" = yes && exit 7");
    auto** const environment = somewhere<char*>(2);
    environment[0] = strdup("WORD=yes");
    pid_t child = 0;
    push_out();
    CHECK(posix_spawn(&child, path, nullptr, nullptr, arguments, environment) == 0 && exited_with(child, 7));
    push_out();
    child = vfork();
    if (child == 0) {
        execve(path, arguments, environment);
        _exit(1);
    }
    CHECK(exited_with(child, 7));
    child = fork();
    if (child == 0) {
        push_out();
        execve(path, arguments, environment);
        _exit(1);
    }
    CHECK(exited_with(child, 7));
    char* const command = strdup("exit 7");
    push_out();
    CHECK(WEXITSTATUS(system(command)) == 7);
}

// ---- system calls on memory that may be absent

constexpr std::size_t kFileBytes = 200'000;

/// Repeats `call` until it has transferred the whole file. Returns false if a call fails.
template <typename Call>
bool whole(Call call) {
    std::size_t done = 0;
    while (done < kFileBytes) {
        const ssize_t got = call(done);
        if (got <= 0) return false;
        done += static_cast<std::size_t>(got);
    }
    return true;
}

void files() {
    char path[] = "faultline_conformance_XXXXXX";
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    char* const name = strdup(path);
    void* const out = malloc(kFileBytes);
    void* const in = malloc(kFileBytes);
    fill(out, kFileBytes, 5);
    push_out();
    CHECK(whole([&](std::size_t at) { return pwrite(fd, byte_at(out, at), kFileBytes - at, static_cast<off_t>(at)); }));
    push_out();
    CHECK(whole([&](std::size_t at) { return pread(fd, byte_at(in, at), kFileBytes - at, static_cast<off_t>(at)); }));
    CHECK(holds(in, kFileBytes, 5));
    auto* const about = somewhere<struct stat>();
    push_out();
    CHECK(stat(name, about) == 0 && about->st_size == kFileBytes);
    push_out();
    CHECK(access(name, R_OK) == 0);
    auto* const parts = somewhere<iovec>(2);
    parts[0] = {in, kFileBytes / 4};
    parts[1] = {byte_at(in, kFileBytes / 4), 100};
    std::memset(in, 0, kFileBytes);
    push_out();
    CHECK(preadv(fd, parts, 2, 0) == kFileBytes / 4 + 100 && holds(in, kFileBytes / 4 + 100, 5));
    // stdio passes large buffers directly to the kernel.
    std::FILE* const file = std::fopen(name, "w+");
    push_out();
    CHECK(std::fwrite(out, 1, kFileBytes, file) == kFileBytes && std::fflush(file) == 0);
    std::rewind(file);
    std::memset(in, 0, kFileBytes);
    push_out();
    CHECK(std::fread(in, 1, kFileBytes, file) == kFileBytes && holds(in, kFileBytes, 5));
    std::fclose(file);
    close(fd);
    unlink(name);
    free(out);
    free(in);
    free(about);
    free(parts);
    free(name);
}

void sockets() {
    auto* const ends = somewhere<int>(2);
    push_out();
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    constexpr std::size_t kBytes = 20'000;
    void* const block = malloc(kBytes);
    fill(block, kBytes, 9);
    push_out();
    CHECK(send(ends[0], block, kBytes, 0) == kBytes);
    std::memset(block, 0, kBytes);
    auto* const message = somewhere<msghdr>();
    auto* const part = somewhere<iovec>();
    *part = {block, kBytes};
    message->msg_iov = part;
    message->msg_iovlen = 1;
    push_out();
    CHECK(recvmsg(ends[1], message, 0) == kBytes && holds(block, kBytes, 9));
    push_out();
    CHECK(sendmsg(ends[1], message, 0) == kBytes);
    std::memset(block, 0, kBytes);
    auto* const ready = somewhere<pollfd>();
    *ready = {ends[0], POLLIN, 0};
    push_out();
    CHECK(poll(ready, 1, 10'000) == 1 && ready->revents == POLLIN);
    push_out();
    CHECK(recv(ends[0], block, kBytes, 0) == kBytes && holds(block, kBytes, 9));
    push_out();
    CHECK(sendto(ends[1], block, kBytes, 0, nullptr, 0) == kBytes);
    auto* const from = somewhere<sockaddr_storage>();
    auto* const length = somewhere<socklen_t>();
    *length = sizeof *from;
    std::memset(block, 0, kBytes);
    push_out();
    CHECK(recvfrom(ends[0], block, kBytes, 0, reinterpret_cast<sockaddr*>(from), length) == kBytes);
    CHECK(holds(block, kBytes, 9));
    close(ends[0]);
    close(ends[1]);
    free(block);
}

// ---- signals

volatile std::sig_atomic_t seen = 0;
sigjmp_buf back;

void blocked_signals() {
    sigset_t all;
    sigset_t before;
    sigset_t now;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    push_out();
    CHECK(pthread_sigmask(SIG_SETMASK, &before, &now) == 0 && sigismember(&now, SIGTERM) == 1);
    static auto* const word = somewhere<int>();
    struct sigaction action {};
    action.sa_handler = [](int) {
        push_out();
        ++*word;
        seen = *word;
    };
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    push_out();
    raise(SIGUSR1);
    CHECK(seen == 1);
}

/// Faults outside managed memory reach the program's own handlers, although the library handles the signals first.
void faults_of_the_program() {
    static const int signals[] = {SIGSEGV, SIGBUS};
    for (static std::size_t i = 0; i < std::size(signals); ++i) {
        const int signal = signals[i];
        struct sigaction mine {};
        struct sigaction previous {};
        struct sigaction found {};
        mine.sa_handler = [](int) { siglongjmp(back, 1); };
        CHECK(sigaction(signal, &mine, &previous) == 0);
        CHECK(sigaction(signal, nullptr, &found) == 0 && found.sa_handler == mine.sa_handler);
        volatile bool came_back = true;
        void* const forbidden = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (sigsetjmp(back, 1) == 0) {
            if (signal == SIGSEGV) *static_cast<volatile char*>(forbidden) = 1;
            if (signal == SIGBUS) raise(SIGBUS);
            came_back = false;
        }
        CHECK(came_back);
        munmap(forbidden, 4096);
        push_out();
        CHECK(sigaction(signal, &previous, nullptr) == 0);
    }
    push_out();
    const pid_t child = fork();
    if (child == 0) {
        raise(SIGSEGV);
        _exit(1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

void descriptors() {
    const int first = dup(0);
    CHECK(first >= 0 && first < 20);  // the library's own descriptors are not among the lowest
    close(first);
    const pid_t child = fork();
    if (child == 0) {
        for (int fd = 3; fd < 1024; ++fd) close(fd);
        push_out();
        close_range(3, ~0U, 0);
        push_out();
        for (int fd = 3; fd < 1024; ++fd) dup2(0, fd);
        push_out();
        _exit(4);
    }
    CHECK(exited_with(child, 4));
}

/// Returns whether mallinfo2() counts the blocks that `allocate` returns.
template <typename Allocate>
bool counts(Allocate allocate) {
    constexpr std::size_t kBlocks = 1000;
    static void* blocks[kBlocks];
    const std::size_t before = mallinfo2().uordblks;
    for (void*& block : blocks) block = allocate(std::size_t{1000});
    const std::size_t after = mallinfo2().uordblks;
    for (void* const block : blocks) free(block);
    return after - before >= kBlocks * 1000;
}

void figures() {
    CHECK(counts([](std::size_t bytes) { return opaque(malloc(bytes)); }));
    CHECK(counts([](std::size_t bytes) { return opaque(calloc(bytes, 1)); }));
    CHECK(counts([](std::size_t bytes) { return opaque(realloc(nullptr, bytes)); }));
    CHECK(counts([](std::size_t bytes) { return opaque(aligned_alloc(64, bytes)); }));
    CHECK(counts([](std::size_t) { return static_cast<void*>(opaque(strdup(std::string(1000, 'x').c_str()))); }));
    CHECK(malloc_trim(0) >= 0);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
}

}  // namespace
// NOLINTEND

int main() {
    constexpr std::pair<const char*, void (*)()> kAll[] = {
        {"sizes", sizes},
        {"alignments", alignments},
        {"overflows and errno", overflows_and_errno},
        {"zeros", zeros},
        {"reallocations", reallocations},
        {"operators", operators},
        {"threads", threads},
        {"locks", locks},
        {"cancellation", cancellation},
        {"forks", forks},
        {"programs", programs},
        {"files", files},
        {"sockets", sockets},
        {"blocked signals", blocked_signals},
        {"faults of the program", faults_of_the_program},
        {"descriptors", descriptors},
        {"figures", figures},
    };
    for (const auto& [name, test] : kAll) {
        const int before = failures;
        test();
        std::printf("%s: %s\n", name, failures == before ? "ok" : "FAILED");
        std::fflush(stdout);
    }
    return failures == 0 ? 0 : 1;
}
