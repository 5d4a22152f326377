// Scratch: an anonymous mapping that one system call uses in place of the program's memory, where the limit leaves no
// to pin the program's.
#pragma once

#include <cstddef>
#include <span>

namespace faultline::preload {

class Scratch {
public:
    Scratch() noexcept = default;
    /// Maps `bytes` zeros, page-aligned; memory is spent on what is touched. Empty when the kernel has no room.
    /// Signal-safe.
    explicit Scratch(std::size_t bytes) noexcept;
    ~Scratch();
    Scratch(Scratch&& other) noexcept;
    Scratch& operator=(Scratch&& other) noexcept;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
    explicit operator bool() const noexcept { return data_ != nullptr; }

private:
    std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace faultline::preload
