// Region: one reserved range of addresses, paged by the pager it came from. An owning handle: destroying it gives the
// addresses, the frames and the swap space back. It is not an allocator; it hands out no blocks.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/pin.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace faultline {

namespace pager {
class Pager;
class Region;
}  // namespace pager

struct RegionOptions {
    /// Bytes moved by one fault: a power of two from 4 KiB to 2 MiB.
    std::size_t page_size = kBasePageBytes;
};

/// Made by `Pager::reserve`; move-only. Plain loads and stores through `data()` are safe from any thread at any time
/// while the region lives, also in signal handlers (unless the signal that delivers faults is blocked: SIGBUS under
/// `uffd_signal`, SIGSEGV under `sigsegv`). The member functions are safe to call from any thread but not from a signal
/// handler; destroying or moving the handle itself must not race with them. All ranges must lie in the region and be
/// aligned to its page size, except where a function says otherwise; else std::system_error with EINVAL.
class FAULTLINE_API Region {
public:
    Region() noexcept;
    Region(Region&& other) noexcept;
    Region& operator=(Region&& other) noexcept;
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region();

    /// The first byte, aligned to the page size; null for an empty handle.
    [[nodiscard]] std::byte* data() const noexcept;

    /// Bytes reserved: what was asked for, rounded up to whole pages; 0 for an empty handle.
    [[nodiscard]] std::size_t size() const noexcept;

    /// Bytes of one page; 0 for an empty handle.
    [[nodiscard]] std::size_t page_size() const noexcept;

    /// The whole range.
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data(), size()}; }

    /// Whether there is a region behind the handle.
    explicit operator bool() const noexcept { return region_ != nullptr; }

    /// Makes every page that the range touches (any alignment) resident and keeps it so until the pin is destroyed.
    /// Throws std::system_error: EINVAL outside the region, EACCES where the protection forbids `purpose`, ENOMEM when
    /// the pins would leave fewer than `Pager::kMinimumPages` frames for faults, EIO or ENOSPC when a page cannot come
    /// in.
    [[nodiscard]] Pin pin(const void* address, std::size_t bytes, PinFor purpose = PinFor::writing);

    /// Acts on what the program knows; see `Advice`. The range may have any alignment.
    void advise(const void* address, std::size_t bytes, Advice advice);

    /// The same for many ranges with one call.
    void advise(std::span<const std::span<const std::byte>> ranges, Advice advice);

    /// Returns when what `Advice::willneed` was said of before is there, as far as it touches the range (any
    /// alignment): read, or given up, since it is only advice.
    void wait_for_advised(const void* address, std::size_t bytes);

    /// Forgets the contents: the range reads as zeros, and its frames and swap space are free. Throws EBUSY when a page
    /// of the range is pinned (the others are discarded all the same).
    void discard(void* address, std::size_t bytes);

    /// Sets what the program may do with the range. A forbidden access raises SIGSEGV as mprotect(2) would have it.
    /// Contents are kept. Throws EBUSY when `access` is `none` and a page of the range is pinned, ENOMEM at
    /// vm.max_map_count (each change of protection inside a region costs the kernel a mapping).
    void protect(void* address, std::size_t bytes, Access access);

    /// After a read error: lets the next access to the range ask the store again, instead of raising SIGBUS at once.
    void retry(void* address, std::size_t bytes);

    /// What this region has counted. Cheap: a few cache lines per CPU.
    [[nodiscard]] RegionStats stats() const;

    /// Divides the region into `cells.size()` equal parts and says of each how many bytes are in which state. Reads
    /// 8 bytes per touched page; never pages anything in.
    void residency(std::span<ResidencyCell> cells) const;

    /// Gives everything back now. Throws std::system_error with EINVAL when the handle is empty (destroyed twice, or
    /// moved from), EBUSY while a `Pin` of the region lives.
    void destroy();

private:
    friend class Pager;
    Region(std::shared_ptr<pager::Pager> pager, pager::Region* region) noexcept;

    std::shared_ptr<pager::Pager> pager_;
    pager::Region* region_ = nullptr;
};

}  // namespace faultline
