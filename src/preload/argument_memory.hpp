// ArgumentMemory: the managed memory that the arguments of one system call name, in a state that the kernel can use.
// The function make_call uses it for every call that Transfer does not represent. It does not make the call itself.
// For calls that move bytes to or from a descriptor, see transfers.hpp.
#pragma once

#include "preload/calls.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/scratch.hpp"

#include <array>
#include <cstdint>

namespace faultline::preload {

class ArgumentMemory {
public:
    /// Pins the memory. Memory that cannot be pinned is replaced by a copy if its exact size is known. Otherwise this
    /// touches it, so that it is resident for a moment, and `complete` returns false.
    explicit ArgumentMemory(const Call& call) noexcept;
    ArgumentMemory(const ArgumentMemory&) = delete;
    ArgumentMemory& operator=(const ArgumentMemory&) = delete;

    /// Returns the call to make: an argument whose memory was copied holds the address of the copy.
    [[nodiscard]] const Call& call() const noexcept { return call_; }
    [[nodiscard]] bool complete() const noexcept { return complete_; }
    /// Makes memory resident again that is neither pinned nor copied.
    void touch_rest() const noexcept;
    /// Copies what the kernel has written to copies back to the program's memory. Returns false if its protection
    /// forbids that: the call fails with EFAULT.
    [[nodiscard]] bool give_back() const noexcept;

private:
    static void map_copy(Scratch& copy, std::uint64_t address, std::uint64_t bytes) noexcept;
    void add_argument(unsigned i) noexcept;
    void add_indirect(std::uint64_t address, std::uint64_t bytes) noexcept;

    const Call given_;
    Call call_;
    PinnedMemory pinned_;
    std::array<Scratch, 6> copies_;  // by argument
    std::uint8_t touched_ = 0;       // one bit for each argument whose memory is neither pinned nor copied
    bool complete_ = true;
};

}  // namespace faultline::preload
