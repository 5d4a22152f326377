// PinnedMemory: pins the managed memory that one system call may touch, until the object is destroyed.
// Used by ArgumentMemory and by the transfers. The pins count against the pager's limit for pins.
#pragma once

#include "core/page_range.hpp"
#include "preload/call_resource.hpp"

#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {
class Region;
enum class PinAmount : std::uint8_t;
}  // namespace faultline::pager

namespace faultline::preload {

/// How many bytes at the start of a range the kernel may use. `error`: the errno of read or write if it is not the
/// whole range.
struct UsableFront {
    std::uint64_t bytes;
    int error;
};

class PinnedMemory final : public CallResource {
public:
    /// `purpose`: whether the kernel reads or writes the memory.
    explicit PinnedMemory(PinFor purpose = PinFor::writing) noexcept : purpose_{purpose} {}
    ~PinnedMemory();
    void give_up() noexcept override;

    /// Pins the managed pages of a range, as far as their protection permits: pages that the call may not write to are
    /// pinned for reading, closed ones not at all, and the kernel fails a call that needs more. Returns false if the
    /// limit or this object has no room, or if a page cannot be read in.
    [[nodiscard]] bool add(std::uint64_t address, std::uint64_t bytes) noexcept;

    /// Pins the managed pages at the start of a range, up to half of what the limit leaves for pins.
    [[nodiscard]] UsableFront add_front(std::uint64_t address, std::uint64_t bytes) noexcept;

private:
    struct Pinned {
        pager::Region* region;
        core::PageRange pages;
    };

    [[nodiscard]] bool add(pager::Region& region, core::PageRange pages) noexcept;
    [[nodiscard]] bool add_alike(pager::Region& region, core::PageRange pages, PinFor purpose,
                                 pager::PinAmount amount) noexcept;
    [[nodiscard]] UsableFront add_front(pager::Region& region, core::PageRange pages) noexcept;
    void note(Pinned pinned) noexcept;
    [[nodiscard]] bool has(const pager::Region& region, core::PageRange pages) const noexcept;

    static constexpr std::size_t kMost = 64;

    std::array<Pinned, kMost> pinned_;
    std::size_t count_ = 0;
    PinFor purpose_;
};

/// Touches the managed pages of a range, which makes them resident, and writable if their protection permits that. They
/// may be evicted again at once. Leaves the contents as they are.
void touch_managed(std::uint64_t address, std::uint64_t bytes) noexcept;

/// Returns true if any byte of the range is managed.
[[nodiscard]] bool is_managed(std::uint64_t address, std::uint64_t bytes) noexcept;

/// Returns how many managed bytes one call may have pinned or copied at a time. That is a quarter of the resident
/// limit, but at least 64 KiB and at most 1 MiB.
[[nodiscard]] std::uint64_t transfer_window() noexcept;

}  // namespace faultline::preload
