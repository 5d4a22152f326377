// Next: the function of a name that the program would call without the preload.
// Looked up at the first use, and never on a path that malloc takes, because the lookup may allocate.
#pragma once

#include "preload/interposition.hpp"

#include <dlfcn.h>

#include <atomic>

namespace faultline::preload {

template <typename Function>
class Next;

template <typename Result, typename... Arguments>
class Next<Result(Arguments...)> {
public:
    explicit constexpr Next(const char* name) noexcept : name_{name} {}

    [[nodiscard]] bool exists() noexcept { return find() != nullptr; }
    Result operator()(Arguments... arguments) { return find()(arguments...); }

private:
    using Pointer = Result (*)(Arguments...);

    [[nodiscard]] Pointer find() noexcept {
        Pointer found = found_.load(std::memory_order_acquire);
        if (found == nullptr) {
            void* next = ::dlsym(RTLD_NEXT, name_);
            // Once the C library's name is replaced, the lookup finds the preload itself.
            if (next != nullptr && is_own_code(next)) next = replaced_function(name_);
            found = reinterpret_cast<Pointer>(next);
            found_.store(found, std::memory_order_release);
        }
        return found;
    }

    const char* name_;
    std::atomic<Pointer> found_{nullptr};
};

}  // namespace faultline::preload
