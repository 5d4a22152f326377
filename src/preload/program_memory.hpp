// Access to memory that the program names in a system call, by a pointer that may be bad. The kernel answers EFAULT
// then; so must the library when it reads or writes such memory itself. Its own access would raise a signal.
// Used by everything that looks behind the arguments of a call. Does not bring pages in: see pinned_memory.hpp.
#pragma once

#include <faultline/types.hpp>

#include <cstdint>
#include <cstring>
#include <optional>

namespace faultline::preload {

/// Returns how many bytes at the start of a range a call may use: as far as memory is mapped and its protection permits
/// the access. Makes system calls for memory that is not managed. Signal-safe.
[[nodiscard]] std::uint64_t permitted_bytes(std::uint64_t address, std::uint64_t bytes, PinFor purpose) noexcept;

/// Returns true if a call may use the whole range.
[[nodiscard]] inline bool permits(std::uint64_t address, std::uint64_t bytes, PinFor purpose) noexcept {
    return permitted_bytes(address, bytes, purpose) == bytes;
}

/// Returns true if the text that begins at `address` may be read up to its null. Makes its managed pages resident.
[[nodiscard]] bool is_readable_text(std::uint64_t address) noexcept;

/// Returns a copy of what the program has at `address`; nothing if it may not be read.
template <typename T>
[[nodiscard]] std::optional<T> load(std::uint64_t address) noexcept {
    if (!permits(address, sizeof(T), PinFor::reading)) return std::nullopt;
    T value;
    std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}

/// Stores a value in the program's memory. Returns false if that may not be written.
template <typename T>
[[nodiscard]] bool store(std::uint64_t address, const T& value) noexcept {
    if (!permits(address, sizeof(T), PinFor::writing)) return false;
    std::memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
    return true;
}

}  // namespace faultline::preload
