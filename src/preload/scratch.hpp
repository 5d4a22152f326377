// Scratch: an anonymous mapping that one system call uses in place of the program's memory, if the limit has no room to
// pin that memory.
// Used by ArgumentMemory and by the transfers, which copy to it and from it.
#pragma once

#include "preload/call_resource.hpp"

#include <cstddef>

namespace faultline::preload {

class Scratch final : public CallResource {
public:
    /// Creates an empty object.
    Scratch() noexcept = default;
    explicit Scratch(std::size_t bytes) noexcept { map(bytes); }
    ~Scratch() { give_up(); }

    /// Maps `bytes` zero bytes, page-aligned, if the object is empty; only touched pages take memory. Stays empty if
    /// the kernel has no memory, and for 0 bytes. Signal-safe.
    void map(std::size_t bytes) noexcept;

    /// Like map, with an inaccessible page directly behind the last byte: the first byte has the offset in its page
    /// that follows from that.
    void map_before_guard(std::size_t bytes) noexcept;
    void give_up() noexcept override;

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
    explicit operator bool() const noexcept { return data_ != nullptr; }

private:
    std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
    std::size_t guard_bytes_ = 0;
};

}  // namespace faultline::preload
