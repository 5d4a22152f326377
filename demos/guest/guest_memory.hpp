// Copies between the process and the program's memory through a system call: an invalid address is an error, not a
// signal, and absent pages are read in. Guest and GuestSignals use it for arguments of system calls.
#pragma once

#include <cstdint>
#include <optional>

namespace faultline::demo::guest {

/// Copies `bytes` bytes. Returns false if the program may not read, or write, all of them.
[[nodiscard]] bool copy_from_guest(void* to, std::uint64_t address, std::size_t bytes) noexcept;
[[nodiscard]] bool copy_to_guest(std::uint64_t address, const void* from, std::size_t bytes) noexcept;

template <typename T>
[[nodiscard]] std::optional<T> load_from_guest(std::uint64_t address) noexcept {
    T value;
    if (!copy_from_guest(&value, address, sizeof value)) return std::nullopt;
    return value;
}

template <typename T>
[[nodiscard]] bool store_to_guest(std::uint64_t address, const T& value) noexcept {
    return copy_to_guest(address, &value, sizeof value);
}

}  // namespace faultline::demo::guest
