// ArgumentMemory: the managed memory that the arguments of one call lead to, in a state that the kernel can use.
#pragma once

#include "preload/calls.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/scratch.hpp"

#include <array>
#include <cstdint>

namespace faultline::preload {

class ArgumentMemory {
public:
    /// Pins it. What cannot be pinned is replaced by a copy, where it is known to the byte how much it is, and else
    /// brought in by touching it: then `complete` is false.
    explicit ArgumentMemory(const Call& call) noexcept;
    ArgumentMemory(const ArgumentMemory&) = delete;
    ArgumentMemory& operator=(const ArgumentMemory&) = delete;

    /// The call to make: with the addresses of the copies.
    [[nodiscard]] const Call& call() const noexcept { return call_; }
    [[nodiscard]] bool complete() const noexcept { return complete_; }
    /// Brings in again what is neither pinned nor copied.
    void touch_rest() const noexcept;
    /// Copies what the kernel has changed in copies to the program's memory.
    void give_back() const noexcept;

private:
    void add_argument(unsigned i) noexcept;
    void add_indirect(std::uint64_t address, std::uint64_t bytes) noexcept;

    const Call given_;
    Call call_;
    PinnedMemory pinned_;
    std::array<Scratch, 6> copies_;  // by argument
    std::uint8_t touched_ = 0;       // a bit for each argument that is neither pinned nor copied
    bool complete_ = true;
};

}  // namespace faultline::preload
