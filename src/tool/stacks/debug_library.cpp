#include "tool/stacks/debug_library.hpp"

#include <dlfcn.h>

namespace faultline::tool {

#if FAULTLINE_HAS_LIBDW

namespace {

constexpr const char* kFile = "libdw.so.1";

bool load(DebugLibrary& library) {
    void* const handle = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return false;
    bool all = true;
    const auto find = [&](const char* name, auto& function) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(handle, name));
        all = all && function != nullptr;
    };
#define FAULTLINE_FIND(name) find(#name, library.name);
    FAULTLINE_DEBUG_FUNCTIONS(FAULTLINE_FIND)
#undef FAULTLINE_FIND
    return all;
}

}  // namespace

const DebugLibrary* DebugLibrary::get() {
    static DebugLibrary library;
    static const bool loaded = load(library);
    return loaded ? &library : nullptr;
}

std::string why_no_debug_library() {
    if (DebugLibrary::get() != nullptr) return {};
    return "this machine lacks libdw.so.1 (Debian package libdw1): calls, functions and lines are not known";
}

#else

std::string why_no_debug_library() {
    return "this command was built without libdw (Debian package libdw-dev): calls, functions and lines are not known";
}

#endif

}  // namespace faultline::tool
