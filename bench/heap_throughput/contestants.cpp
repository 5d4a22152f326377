#include "heap_throughput/contestants.hpp"

#include <dlfcn.h>

#include <cstdlib>

namespace bench {
namespace {

struct Functions {
    void* (*allocate)(std::size_t);
    void* (*reallocate)(void*, std::size_t);
    void (*deallocate)(void*);
};

Allocator from_functions(std::string name, const Functions& functions) {
    Allocator made;
    made.name = std::move(name);
    const auto owned = std::make_shared<Functions>(functions);
    made.context = owned.get();
    made.owned = owned;
    made.allocate = [](void* context, std::size_t bytes) { return static_cast<Functions*>(context)->allocate(bytes); };
    made.reallocate = [](void* context, void* block, std::size_t bytes) {
        return static_cast<Functions*>(context)->reallocate(block, bytes);
    };
    made.deallocate = [](void* context, void* block) { static_cast<Functions*>(context)->deallocate(block); };
    return made;
}

template <typename Function>
bool find(void* library, const std::string& prefix, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, (prefix + name).c_str()));
    return function != nullptr;
}

}  // namespace

Allocator c_library() { return from_functions("glibc", {&std::malloc, &std::realloc, &std::free}); }

Allocator from_library(const std::string& file) {
    // Never closed: an allocator may have threads, and thread keys with destructors.
    void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    Allocator none;
    if (library == nullptr) {
        none.name = ::dlerror();
        return none;
    }
    for (const char* prefix : {"mi_", "je_", ""}) {
        Functions functions{};
        if (find(library, prefix, "malloc", functions.allocate) &&
            find(library, prefix, "realloc", functions.reallocate) &&
            find(library, prefix, "free", functions.deallocate)) {
            const std::size_t slash = file.rfind('/');
            return from_functions(slash == std::string::npos ? file : file.substr(slash + 1), functions);
        }
    }
    none.name = file + " has no malloc";
    return none;
}

}  // namespace bench
