// System calls, signals and faults on small stacks of coroutines, on alternate signal stacks, and on stacks that a
// signal handler leaves by siglongjmp. Nothing is written below a stack's end, handlers run on the stack that the
// program chose, and no memory stays pinned. Runs with libfaultline-preload.so preloaded, FAULTLINE_RESIDENT=256K, and
// without. Prints each check that fails and exits with 1.

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

constexpr std::size_t kPage = 4096;

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{512} << 10;
    static auto* const much = static_cast<unsigned char*>(malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += kPage) much[i] = static_cast<unsigned char>(much[i] + 1);
}

/// Whether pages of malloc's memory are ever evicted: false without the preload.
bool memory_leaves;

bool find_out_whether_memory_leaves() {
    auto* const page = static_cast<unsigned char*>(aligned_alloc(kPage, kPage));
    page[0] = 1;
    bool leaves = false;
    for (int i = 0; i < 20 && !leaves; ++i) {
        push_out();
        unsigned char resident = 0;
        leaves = mincore(page, kPage, &resident) == 0 && (resident & 1) == 0;
    }
    free(page);
    return leaves;
}

/// Frees a block. Returns how many of its pages are still in memory, because they are pinned; 0 without the preload.
std::size_t free_and_count(void* block, std::size_t bytes) {
    std::vector<unsigned char> states(bytes / kPage);
    auto address = reinterpret_cast<std::uintptr_t>(block);
    asm("" : "+r"(address));  // the addresses stay mapped after free
    free(block);
    if (!memory_leaves || mincore(reinterpret_cast<void*>(address), bytes, states.data()) != 0) return 0;
    return static_cast<std::size_t>(std::count_if(states.begin(), states.end(), [](auto state) { return state & 1; }));
}

/// Returns whether the thread is in read(2) or readv(2), which are system calls 0 and 19.
bool waits_in_read(pid_t thread) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
    char line[64] = {};
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true;  // this kernel does not provide the file
    const ssize_t got = read(fd, line, sizeof line - 1);
    close(fd);
    return got <= 0 || std::string_view{line}.starts_with("0 0x") || std::string_view{line}.starts_with("19 0x");
}

void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    CHECK(sigaction(signal, &action, nullptr) == 0);
}

struct Pipe {
    int ends[2];
    Pipe() { CHECK(pipe2(ends, O_CLOEXEC) == 0); }
    ~Pipe() {
        close(ends[0]);
        close(ends[1]);
    }
};

/// Returns whether the address lies on the calling thread's own stack.
bool on_own_stack(const void* address) {
    pthread_attr_t attributes;
    void* begin = nullptr;
    std::size_t bytes = 0;
    CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CHECK(pthread_attr_getstack(&attributes, &begin, &bytes) == 0);
    pthread_attr_destroy(&attributes);
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(begin) < bytes;
}

/// Sends one signal to the constructing thread after each arm(), as soon as that thread waits in a read.
class Interrupter {
public:
    explicit Interrupter(int signal)
        : thread_{[this, signal, target = pthread_self(), id = gettid()] {
              while (!done_) {
                  if (armed_ && waits_in_read(id)) {
                      armed_ = false;
                      pthread_kill(target, signal);
                  }
                  sched_yield();
              }
          }} {}
    ~Interrupter() {
        done_ = true;
        thread_.join();
    }
    void arm() { armed_ = true; }

private:
    std::atomic<bool> armed_{false};
    std::atomic<bool> done_{false};
    std::thread thread_;
};

// ---- calls that a handler leaves by siglongjmp

sigjmp_buf back;

void read_and_leave(Interrupter& interrupter, int fd, void* memory, std::size_t bytes) {
    if (sigsetjmp(back, 1) != 0) return;
    interrupter.arm();
    CHECK(read(fd, memory, bytes) == -2);  // does not return
}

/// Leaves many reads, each into its own memory. None of that memory stays pinned.
void left_calls_keep_nothing() {
    constexpr std::size_t kCalls = 150;
    constexpr std::size_t kEach = 4 * kPage;
    handle(
        SIGUSR1, [](int) { siglongjmp(back, 1); }, 0);
    const Pipe pipe;
    auto* const memory = static_cast<char*>(aligned_alloc(kPage, kCalls * kEach));
    std::memset(memory, 1, kCalls * kEach);
    {
        Interrupter interrupter{SIGUSR1};
        for (std::size_t i = 0; i < kCalls; ++i) read_and_leave(interrupter, pipe.ends[0], memory + i * kEach, kEach);
    }
    CHECK(write(pipe.ends[1], "text", 5) == 5);
    CHECK(read(pipe.ends[0], memory + kPage, kPage) == 5 && std::string_view{memory + kPage} == "text");
    // The library may not have noticed yet that the last call was left, so that one may still hold its pins.
    CHECK(free_and_count(memory, kCalls * kEach) <= kEach / kPage);
}

/// An interrupted call continues after its handler returns, even if the handler makes the same call.
void nested_calls_come_back() {
    static Pipe outer;
    static Pipe inner;
    static char* memory;
    static std::atomic<int> seen;
    memory = static_cast<char*>(aligned_alloc(kPage, 4 * kPage));
    handle(
        SIGUSR1,
        [](int) {
            push_out();
            CHECK(read(inner.ends[0], memory + 2 * kPage, kPage) == 6);
            push_out();
            ++seen;
            if (seen == 3) CHECK(write(outer.ends[1], "outer", 6) == 6);
        },
        SA_RESTART);
    Interrupter interrupter{SIGUSR1};
    std::thread helper{[&] {
        for (int i = 0; i < 3; ++i) {
            const int before = seen;
            interrupter.arm();
            CHECK(write(inner.ends[1], "inner", 6) == 6);
            while (seen == before) sched_yield();
        }
    }};
    CHECK(read(outer.ends[0], memory, kPage) == 6 && std::string_view{memory} == "outer");
    CHECK(std::string_view{memory + 2 * kPage} == "inner");
    helper.join();
    free(memory);
}

/// A child of fork releases the pins of calls that other threads of its parent wait in.
void children_keep_nothing_of_other_threads() {
    constexpr std::size_t kThreads = 4;
    constexpr std::size_t kEach = 8 * kPage;
    const std::array<Pipe, kThreads> pipes;
    auto* const memory = static_cast<char*>(aligned_alloc(kPage, kThreads * kEach));
    std::memset(memory, 1, kThreads * kEach);
    std::array<std::atomic<pid_t>, kThreads> ids{};
    std::vector<std::thread> readers;
    for (std::size_t i = 0; i < kThreads; ++i) {
        readers.emplace_back([&, i] {
            ids[i] = gettid();
            CHECK(read(pipes[i].ends[0], memory + i * kEach, kEach) == 1);
        });
    }
    for (const auto& id : ids) {
        while (id == 0 || !waits_in_read(id)) sched_yield();
    }
    const pid_t child = fork();
    if (child == 0) {
        _exit(free_and_count(memory, kThreads * kEach) == 0 ? 3 : 4);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    for (const Pipe& pipe : pipes) CHECK(write(pipe.ends[1], "x", 1) == 1);
    for (std::thread& reader : readers) reader.join();
    free(memory);
}

// ---- alternate stacks

/// Handlers run on alternate stacks from malloc, sigaltstack reports them unchanged, and their memory can be freed.
void alternate_stacks_from_malloc() {
    constexpr std::size_t kBytes = 16 * kPage;
    static thread_local bool handled;
    handle(
        SIGUSR2, [](int) { handled = true; }, SA_ONSTACK);
    std::vector<void*> blocks;
    for (int i = 0; i < 100; ++i) {
        std::thread{[&] {
            void* const block = aligned_alloc(kPage, kBytes);
            std::memset(block, 1, kBytes);
            blocks.push_back(block);
            stack_t mine{};
            mine.ss_sp = block;
            mine.ss_size = kBytes;
            stack_t found{};
            CHECK(sigaltstack(nullptr, &found) == 0 && found.ss_flags == SS_DISABLE);
            CHECK(sigaltstack(&mine, nullptr) == 0);
            CHECK(sigaltstack(nullptr, &found) == 0 && found.ss_sp == block && found.ss_size == kBytes &&
                  found.ss_flags == 0);
            push_out();
            CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0 && handled);
            mine.ss_flags = SS_DISABLE;
            CHECK(sigaltstack(&mine, &found) == 0 && found.ss_sp == block);
            CHECK(sigaltstack(nullptr, &found) == 0 && found.ss_flags == SS_DISABLE);
        }}.join();
    }
    std::size_t resident = 0;
    for (void* const block : blocks) resident += free_and_count(block, kBytes);
    CHECK(resident == 0);
}

/// The address of a local variable of the handler that ran last.
const void* volatile ran_at;

void handlers_run_on_the_stack_that_they_want() {
    const Pipe pipe;
    const auto interrupt_a_read = [&] {
        char* const memory = static_cast<char*>(aligned_alloc(kPage, kPage));
        {
            Interrupter interrupter{SIGUSR1};
            interrupter.arm();
            CHECK(read(pipe.ends[0], memory, kPage) == -1);
        }
        free(memory);
    };
    const auto note = [](int) {
        volatile char here = 0;
        ran_at = const_cast<char*>(&here);
        push_out();
    };
    handle(SIGUSR1, note, 0);
    interrupt_a_read();
    CHECK(on_own_stack(ran_at));
    // On a thread, where the library itself provides an alternate stack.
    std::thread{[&] {
        handle(SIGUSR1, note, 0);
        interrupt_a_read();
        CHECK(on_own_stack(ran_at));
        constexpr std::size_t kBytes = std::size_t{64} << 10;
        void* const stack = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        stack_t mine{};
        mine.ss_sp = stack;
        mine.ss_size = kBytes;
        CHECK(sigaltstack(&mine, nullptr) == 0);
        handle(SIGUSR1, note, SA_ONSTACK);
        interrupt_a_read();
        const auto offset = reinterpret_cast<std::uintptr_t>(ran_at) - reinterpret_cast<std::uintptr_t>(stack);
        CHECK(offset < kBytes);
        mine.ss_flags = SS_DISABLE;
        CHECK(sigaltstack(&mine, nullptr) == 0);
        munmap(stack, kBytes);
    }}.join();
}

/// The system's smallest size of an alternate stack. sysconf may say less than the kernel takes (MINSIGSTKSZ): it tells
/// what a signal frame of this CPU needs.
std::size_t smallest_alternate_stack() {
    return std::max<std::size_t>(static_cast<std::size_t>(sysconf(_SC_MINSIGSTKSZ)), 2048);
}

/// An alternate stack of the system's smallest size: the bytes below it stay unchanged.
void smallest_alternate_stack_is_not_overrun() {
    const std::size_t bytes = smallest_alternate_stack();
    const std::size_t below = 8 * kPage;
    void* const map = mmap(nullptr, below + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(map, 0x5a, below);
    std::thread{[&] {
        stack_t mine{};
        mine.ss_sp = static_cast<char*>(map) + below;
        mine.ss_size = bytes;
        CHECK(sigaltstack(&mine, nullptr) == 0);
        handle(
            SIGUSR2, [](int) { static_cast<void>(!syscall(SYS_getppid)); }, SA_ONSTACK);
        CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
        mine.ss_flags = SS_DISABLE;
        CHECK(sigaltstack(&mine, nullptr) == 0);
    }}.join();
    const auto* const bytes_below = static_cast<const char*>(map);
    CHECK(std::all_of(bytes_below, bytes_below + below, [](char c) { return c == 0x5a; }));
    munmap(map, below + bytes);
}

/// sigaltstack in a handler reports the stack that the handler runs on. Go's runtime ends the program if it does not.
void handlers_are_told_of_the_stack_that_they_run_on() {
    static thread_local bool told;
    const auto ask = [](int) {
        stack_t found{};
        CHECK(syscall(SYS_sigaltstack, nullptr, &found) == 0 && found.ss_flags == SS_ONSTACK);
        const auto here = reinterpret_cast<std::uintptr_t>(&found);
        told = here - reinterpret_cast<std::uintptr_t>(found.ss_sp) < found.ss_size;
    };
    handle(SIGUSR2, ask, SA_ONSTACK);
    const std::size_t least = smallest_alternate_stack();
    for (const std::size_t bytes : {least + kPage, std::size_t{32} << 10, std::size_t{1} << 20}) {
        for (const bool of_malloc : {false, true}) {
            std::thread{[&] {
                stack_t mine{};
                mine.ss_size = bytes;
                mine.ss_sp = of_malloc
                                 ? malloc(bytes)
                                 : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                CHECK(sigaltstack(&mine, nullptr) == 0);
                CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0 && told);
                void* const stack = mine.ss_sp;
                mine.ss_flags = SS_DISABLE;
                CHECK(sigaltstack(&mine, nullptr) == 0);
                of_malloc ? free(stack) : static_cast<void>(munmap(stack, bytes));
            }}.join();
        }
    }
}

// ---- small stacks

constexpr std::size_t kSmallStack = 2048;

ucontext_t caller;
ucontext_t coroutine;
int coroutine_pipe[2];
char* coroutine_memory;
bool coroutine_right;

/// Makes system calls and faults on a small stack. It calls syscall(), since the C library's wrappers need more stack.
void on_small_stack() {
    if (coroutine_memory == nullptr) return static_cast<void>(syscall(SYS_getppid) + getppid());
    bool right = syscall(SYS_getppid) == getppid();
    right = right && syscall(SYS_write, coroutine_pipe[1], coroutine_memory, 5000) == 5000;
    const iovec parts[] = {{coroutine_memory + 10'000, 2000}, {coroutine_memory + 12'000, 3000}};
    right = right && syscall(SYS_readv, coroutine_pipe[0], parts, 2) == 5000;
    right = right && coroutine_memory[10'000] == 'a' && coroutine_memory[14'999] == 'a';
    coroutine_memory[20 * kPage] = 'b';
    const struct timespec moment {};
    right = right && syscall(SYS_nanosleep, &moment, nullptr) == 0;
    coroutine_right = right;
}

bool is_untouched(const void* memory, std::size_t bytes) {
    const auto* const at = static_cast<const char*>(memory);
    return std::all_of(at, at + bytes, [](char c) { return c == 0x5a; });
}

void run_on(char* stack) {
    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = kSmallStack;
    coroutine.uc_link = &caller;
    makecontext(&coroutine, on_small_stack, 0);
    push_out();
    CHECK(swapcontext(&caller, &coroutine) == 0);
}

void small_stacks_are_enough(bool managed) {
    constexpr std::size_t kBelow = 16 * kPage;
    coroutine_memory = static_cast<char*>(aligned_alloc(kPage, 32 * kPage));
    std::memset(coroutine_memory, 'a', 32 * kPage);
    CHECK(pipe2(coroutine_pipe, O_CLOEXEC) == 0);
    void* const room = managed
                           ? aligned_alloc(kPage, kBelow + kPage)
                           : mmap(nullptr, kBelow + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(room, 0x5a, kBelow + kPage);
    run_on(static_cast<char*>(room) + kBelow);
    CHECK(coroutine_right && is_untouched(room, kBelow));
    close(coroutine_pipe[0]);
    close(coroutine_pipe[1]);
    managed ? free(room) : static_cast<void>(munmap(room, kBelow + kPage));
    free(coroutine_memory);
}

/// The library reuses the stacks of threads that have ended: 500 threads do not grow the mapped memory.
void threads_leave_no_stacks_behind() {
    const auto mapped_bytes = [] {
        std::FILE* const file = std::fopen("/proc/self/statm", "r");
        long pages = 0;
        CHECK(file != nullptr && std::fscanf(file, "%ld", &pages) == 1);
        std::fclose(file);
        return static_cast<std::size_t>(pages) * kPage;
    };
    const auto run = [](int count) {
        for (int i = 0; i < count; ++i) std::thread{[] { CHECK(getppid() > 0); }}.join();
    };
    run(50);
    const std::size_t before = mapped_bytes();
    run(500);
    CHECK(mapped_bytes() < before + (std::size_t{10} << 20));
}

}  // namespace
// NOLINTEND

int main(int count, char** arguments) {
    constexpr std::pair<std::string_view, void (*)()> kAll[] = {
        {"left calls", left_calls_keep_nothing},
        {"nested calls", nested_calls_come_back},
        {"children", children_keep_nothing_of_other_threads},
        {"alternate stacks", alternate_stacks_from_malloc},
        {"handlers", handlers_run_on_the_stack_that_they_want},
        {"told", handlers_are_told_of_the_stack_that_they_run_on},
        {"smallest", smallest_alternate_stack_is_not_overrun},
        {"small stacks", [] { small_stacks_are_enough(false); }},
        {"small stacks from malloc", [] { small_stacks_are_enough(true); }},
        {"threads", threads_leave_no_stacks_behind},
    };
    setvbuf(stdout, nullptr, _IOLBF, 0);
    memory_leaves = find_out_whether_memory_leaves();
    on_small_stack();  // binds its lazily bound calls on a large stack
    for (const auto& [name, test] : kAll) {
        if (count == 1 || name == arguments[1]) test();
    }
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
