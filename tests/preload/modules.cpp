// modules MODULE: loads the module in each way that binds it to the C library's functions instead of the preloaded
// ones, and passes blocks between it and the program. Runs with libfaultline-preload.so preloaded, and without.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

// NOLINTBEGIN
namespace {

#define CHECK(...)                                                                      \
    do {                                                                                \
        if (!(__VA_ARGS__)) {                                                           \
            std::printf("%s:%d: check failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            std::exit(1);                                                               \
        }                                                                               \
    } while (false)

template <typename Function>
Function* find(void* library, const char* name) {
    auto* const function = reinterpret_cast<Function*>(dlsym(library, name));
    CHECK(function != nullptr);
    return function;
}

/// Returns `value` and hides it from the optimiser, which knows malloc.
template <typename T>
T opaque(T value) {
    asm volatile("" : "+r"(value) : : "memory");
    return value;
}

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{3} << 20;
    static auto* const much = static_cast<unsigned char*>(std::malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += 4096) much[i] = static_cast<unsigned char>(much[i] + 1);
}

/// Reads from a pipe into memory that may be absent. Returns `into`, or null if the read fails.
void* read_from_pipe(void* into) {
    int ends[2];
    if (pipe(ends) != 0 || write(ends[1], "text", 5) != 5) return nullptr;
    push_out();
    const ssize_t got = read(ends[0], into, 5);
    close(ends[0]);
    close(ends[1]);
    return got == 5 ? into : nullptr;
}

/// The module's own blocks keep their contents when they are evicted, and the module can free them.
void keeps_own_blocks(void* module) {
    auto* const make = find<void*(std::size_t)>(module, "module_make");
    auto* const grow = find<void*(void*, std::size_t)>(module, "module_grow");
    auto* const release = find<void(void*)>(module, "module_release");
    auto* block = static_cast<char*>(make(100'000));
    std::strcpy(block, "from the module");
    push_out();
    block = static_cast<char*>(grow(block, 300'000));
    CHECK(std::string_view{block} == "from the module");
    release(block);
    auto* const early = find<const char*()>(module, "module_early");
    CHECK(std::string_view{early()}.size() == 1000);
    char* const copy = find<char*(const char*)>(module, "module_duplicate")("a text");
    push_out();
    CHECK(std::string_view{copy} == "a text");
    release(copy);
    find<void(int*)>(module, "module_delete")(find<int*()>(module, "module_new")());
}

/// The module can free and reallocate the program's blocks, and the program the module's.
void exchanges_blocks(void* module) {
    auto* const make = find<void*(std::size_t)>(module, "module_make");
    auto* const grow = find<void*(void*, std::size_t)>(module, "module_grow");
    auto* const release = find<void(void*)>(module, "module_release");
    for (std::size_t bytes = 8; bytes < 2'000'000; bytes = bytes * 5 / 2) {
        auto* block = static_cast<char*>(opaque(std::malloc(bytes)));
        block[0] = 'x';
        push_out();
        release(grow(block, bytes * 2));
        block = static_cast<char*>(make(bytes));
        block[0] = 'x';
        push_out();
        std::free(std::realloc(block, bytes * 2));
    }
    release(opaque(strdup("from the program")));
    std::free(find<char*(const char*)>(module, "module_duplicate")("from the module"));
    delete find<int*()>(module, "module_new")();
    find<void(int*)>(module, "module_delete")(opaque(new int{3}));
}

/// Threads that the module starts can make system calls on managed memory.
void runs_threads(void* module) {
    auto* const run = find<int(void* (*)(void*), void*, void**)>(module, "module_run");
    auto* const block = static_cast<char*>(std::malloc(100'000));
    void* result = nullptr;
    CHECK(run(&read_from_pipe, block, &result) == 0 && result == block && std::string_view{block} == "text");
    std::free(block);
}

void* load(const char* path, int how) {
    void* const module = dlopen(path, how | RTLD_LOCAL);
    if (module == nullptr) std::printf("%s\n", dlerror());
    CHECK(module != nullptr);
    return module;
}

void deep_bound(const char* path, int how) {
    void* const module = load(path, how | RTLD_DEEPBIND);
    keeps_own_blocks(module);
    exchanges_blocks(module);
    runs_threads(module);
    dlclose(module);
}

void through_libc_handle() {
    void* const libc = load("libc.so.6", RTLD_NOW);
    find<void(void*)>(libc, "free")(opaque(std::malloc(5000)));
    std::free(find<void*(std::size_t)>(libc, "malloc")(5000));
    CHECK(find<std::size_t(void*)>(libc, "malloc_usable_size")(opaque(std::malloc(5000))) >= 5000);
    auto* const path = static_cast<char*>(std::malloc(100'000));
    std::strcpy(path, "/bin/true");
    push_out();
    pid_t child = fork();
    if (child == 0) {
        char* const arguments[] = {path, nullptr};
        find<int(const char*, char* const*)>(libc, "execv")(path, arguments);
        _exit(1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    std::free(path);
}

/// A module in another linker namespace uses that namespace's own C library. It must not exchange blocks.
void in_another_namespace(const char* path) {
    void* const module = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) std::printf("%s\n", dlerror());
    CHECK(module != nullptr);
    keeps_own_blocks(module);
    dlclose(module);
}

}  // namespace
// NOLINTEND

int main(int count, char** arguments) {
    if (count != 2) return 2;
    deep_bound(arguments[1], RTLD_NOW);
    deep_bound(arguments[1], RTLD_LAZY);
    through_libc_handle();
    in_another_namespace(arguments[1]);
    return 0;
}
