// The managed memory that one system call may touch, pinned for as long as the object lives.
#pragma once

#include "core/page_range.hpp"
#include "preload/call_resource.hpp"

#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

/// How many bytes of a range's front the kernel may use; `error` (an errno of read or write) says why not all of it.
struct UsableFront {
    std::uint64_t bytes;
    int error;
};

class PinnedMemory final : public CallResource {
public:
    /// `purpose`: what the kernel does with the memory.
    explicit PinnedMemory(PinFor purpose = PinFor::writing) noexcept : purpose_{purpose} {}
    ~PinnedMemory();
    void give_up() noexcept override;

    /// Pins what is managed of a range: all of it, or nothing. Returns false where the limit, or this object, has no
    /// room for it, or where a page cannot be had.
    [[nodiscard]] bool add(std::uint64_t address, std::uint64_t bytes) noexcept;

    /// Pins what is managed of the front of a range, up to half of what the limit has left for pins.
    [[nodiscard]] UsableFront add_front(std::uint64_t address, std::uint64_t bytes) noexcept;

private:
    void note(core::PageRange pages) noexcept;
    [[nodiscard]] bool has(core::PageRange pages) const noexcept;

    static constexpr std::size_t kMost = 64;

    std::array<core::PageRange, kMost> pinned_;
    std::size_t count_ = 0;
    PinFor purpose_;
};

/// Brings in what is managed of a range, writable, by touching it: it may leave again at once. Changes nothing in it.
void touch_managed(std::uint64_t address, std::uint64_t bytes) noexcept;

/// Whether a byte of the range is managed.
[[nodiscard]] bool is_managed(std::uint64_t address, std::uint64_t bytes) noexcept;

/// How many managed bytes one call may have pinned, or copied, at a time: a quarter of the resident limit, at least
/// 64 KiB and at most 1 MiB.
[[nodiscard]] std::uint64_t transfer_window() noexcept;

}  // namespace faultline::preload
