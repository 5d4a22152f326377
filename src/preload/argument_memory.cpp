#include "preload/argument_memory.hpp"

#include "preload/call_memory.hpp"
#include "preload/program_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace faultline::preload {

ArgumentMemory::ArgumentMemory(const Call& call) noexcept : given_{call}, call_{call} {
    for (unsigned i = 0; i < call.arguments.size(); ++i) add_argument(i);
    const auto add = [](void* self, std::uint64_t address, std::uint64_t bytes) {
        static_cast<ArgumentMemory*>(self)->add_indirect(address, bytes);
    };
    for_each_indirect_memory(given_, {add, this});
}

/// Maps a copy as large as the memory that the program may use. If that is not all that the argument names, the kernel
/// finds the copy to end in the same way.
void ArgumentMemory::map_copy(Scratch& copy, std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::uint64_t permitted = permitted_bytes(address, bytes, PinFor::reading);
    if (permitted == bytes) copy.map(bytes);
    if (permitted > 0 && permitted < bytes) copy.map_before_guard(permitted);
}

void ArgumentMemory::add_argument(unsigned i) noexcept {
    const std::uint64_t address = given_.arguments[i];
    const Extent extent = extent_of(given_, i);
    if (pinned_.add(address, extent.bytes)) return;
    Scratch& copy = copies_[i];
    if (extent.exact) map_copy(copy, address, extent.bytes);
    if (!copy) {
        touched_ = static_cast<std::uint8_t>(touched_ | 1U << i);
        complete_ = false;
        return touch_managed(address, extent.bytes);
    }
    std::memcpy(copy.data(), reinterpret_cast<const void*>(address), copy.size());
    call_.arguments[i] = reinterpret_cast<std::uint64_t>(copy.data());
}

void ArgumentMemory::add_indirect(std::uint64_t address, std::uint64_t bytes) noexcept {
    if (pinned_.add(address, bytes)) return;
    complete_ = false;
    touch_managed(address, bytes);
}

void ArgumentMemory::touch_rest() const noexcept {
    for (unsigned i = 0; i < given_.arguments.size(); ++i) {
        if ((touched_ >> i & 1U) != 0) touch_managed(given_.arguments[i], extent_of(given_, i).bytes);
    }
    const auto touch = [](void*, std::uint64_t address, std::uint64_t bytes) { touch_managed(address, bytes); };
    for_each_indirect_memory(given_, {touch, nullptr});
}

/// Writes only the bytes that have changed: the kernel changes little of a long vector.
bool ArgumentMemory::give_back() const noexcept {
    constexpr std::size_t kStep = 4096;
    bool all = true;
    for (unsigned i = 0; i < copies_.size(); ++i) {
        auto* const to = reinterpret_cast<std::byte*>(given_.arguments[i]);
        for (std::size_t at = 0; at < copies_[i].size(); at += kStep) {
            const std::size_t bytes = std::min(kStep, copies_[i].size() - at);
            if (std::memcmp(to + at, copies_[i].data() + at, bytes) == 0) continue;
            const bool writable = permits(given_.arguments[i] + at, bytes, PinFor::writing);
            if (writable) std::memcpy(to + at, copies_[i].data() + at, bytes);
            all = all && writable;
        }
    }
    return all;
}

}  // namespace faultline::preload
