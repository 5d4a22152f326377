// Region: one reserved range of addresses whose page faults a pager answers. It is an owning handle: its destructor
// frees the addresses, the frames and the swap space. It is not an allocator and hands out no blocks. Programs get
// regions from `Pager::reserve`.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/pin.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

namespace faultline {

namespace pager {
class OwnedRegion;
class Pager;
class Region;
}  // namespace pager

inline namespace v0 {

/// The options of one region, for `Pager::reserve`.
struct RegionOptions {
    /// Page size in bytes, the amount that one fault reads: a power of two from 4 KiB to 2 MiB.
    std::size_t page_size = kBasePageBytes;
};

/// A range of managed memory. Made by `Pager::reserve`; move-only.
///
/// Any thread may load and store through `data()` at any time while the region lives, also in signal handlers. The
/// exception is code that blocks the signal that delivers faults: SIGBUS under `uffd_signal`, SIGSEGV under `sigsegv`.
/// Any thread may call the member functions, but not in a signal handler. Destroying or moving the handle must not race
/// with other calls.
///
/// Unless a function says otherwise, a range must lie in the region and be aligned to its page size; otherwise the
/// function throws std::system_error with EINVAL. In a child of fork without `ForkPolicy::inherit`, the functions that
/// take a range throw EPERM.
///
///     faultline::Pager pager{{.resident_limit = std::size_t{64} << 20}};
///     faultline::Region region = pager.reserve(std::size_t{1} << 30);
///     std::byte* bytes = region.data();  // 1 GiB of zeros; at most 64 MiB of it are in memory at a time
class FAULTLINE_API Region {
public:
    /// Constructs an empty handle.
    Region() noexcept;
    /// Takes over the region of `other`, which is empty afterwards.
    Region(Region&& other) noexcept;
    /// Gives up the own region as the destructor does, then takes over that of `other`.
    Region& operator=(Region&& other) noexcept;
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    /// Frees addresses, frames and swap space. While a `Pin` of the region lives, or a call of io.hpp uses its memory,
    /// the region stays until the last of them ends. Throws nothing. Does nothing in a child of fork that has not
    /// inherited the region.
    ~Region();

    /// True if the handle owns a region: it was not moved from, and not destroyed.
    explicit operator bool() const noexcept { return region_ != nullptr; }

    /// Returns the first byte, aligned to the page size; null for an empty handle.
    [[nodiscard]] std::byte* data() const noexcept;

    /// Returns the size in bytes: the size asked for, rounded up to whole pages; 0 for an empty handle.
    [[nodiscard]] std::size_t size() const noexcept;

    /// Returns the page size in bytes; 0 for an empty handle.
    [[nodiscard]] std::size_t page_size() const noexcept;

    /// Returns the whole range.
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data(), size()}; }

    /// Returns the region as an array of `T`: as many as fit into `size()`. Each begins as zero bytes. A page comes
    /// into memory when one of its elements is accessed.
    ///
    ///     std::span<double> numbers = region.as<double>();
    template <typename T>
    [[nodiscard]] std::span<T> as() const noexcept {
        static_assert(std::is_trivially_copyable_v<T>, "a region holds bytes: T must be trivially copyable");
        static_assert(alignof(T) <= kBasePageBytes, "a region is aligned to its page size only");
        return {reinterpret_cast<T*>(data()), size() / sizeof(T)};
    }

    /// Makes every page that the range touches resident, and keeps it resident until the pin is destroyed. The range
    /// may have any alignment. Use it for system calls, O_DIRECT, io_uring and devices.
    ///
    /// Throws std::system_error: EINVAL (outside the region), EACCES (the protection forbids `purpose`), ENOMEM (the
    /// pins would leave fewer than `Pager::kMinimumPages` pages for faults), EIO or ENOSPC (a page cannot be made
    /// resident).
    [[nodiscard]] Pin pin(const void* address, std::size_t bytes, PinFor purpose = PinFor::writing);
    /// Pins the range of a span.
    [[nodiscard]] Pin pin(std::span<const std::byte> range, PinFor purpose = PinFor::writing) {
        return pin(range.data(), range.size(), purpose);
    }

    /// Gives `advice` on a range of any alignment; see `Advice`.
    void advise(const void* address, std::size_t bytes, Advice advice);
    /// Gives `advice` on the range of a span.
    void advise(std::span<const std::byte> range, Advice advice) { advise(range.data(), range.size(), advice); }
    /// Gives `advice` on many ranges of any alignment with one call.
    void advise(std::span<const std::span<const std::byte>> ranges, Advice advice);

    /// Blocks until the reads that earlier `Advice::willneed` started in the range have finished or are abandoned. The
    /// range may have any alignment. Since it was only advice, a page may still be absent afterwards.
    void wait_for_advised(const void* address, std::size_t bytes);
    /// Waits for the reads in the range of a span.
    void wait_for_advised(std::span<const std::byte> range) { wait_for_advised(range.data(), range.size()); }

    /// Drops the contents: the range reads as zeros, and its frames and swap space are free. Throws EBUSY when a page
    /// of the range is pinned; the other pages are discarded.
    void discard(void* address, std::size_t bytes);
    /// Discards the range of a span.
    void discard(std::span<std::byte> range) { discard(range.data(), range.size()); }

    /// Sets the accesses that the range allows. A forbidden access raises SIGSEGV, as after mprotect(2). Contents are
    /// kept. Throws EBUSY (`access` is `none` and a page of the range is pinned) or ENOMEM (vm.max_map_count: each
    /// change of protection inside a region costs the kernel a mapping).
    void protect(void* address, std::size_t bytes, Access access);
    /// Protects the range of a span.
    void protect(std::span<std::byte> range, Access access) { protect(range.data(), range.size(), access); }

    /// After a read error, lets the next access to the range read from the store again, instead of raising SIGBUS.
    void retry(void* address, std::size_t bytes);
    /// Lets accesses to the range of a span read again.
    void retry(std::span<std::byte> range) { retry(range.data(), range.size()); }

    /// Returns the region's counters. Reads a few cache lines per CPU.
    [[nodiscard]] RegionStats stats() const;

    /// Divides the region into `cells.size()` equal parts, and stores for each how many bytes are in which state. Reads
    /// 8 bytes per touched page, and makes no page resident.
    void residency(std::span<ResidencyCell> cells) const;
    /// Does the same for the pages that a range of any alignment touches.
    void residency(const void* address, std::size_t bytes, std::span<ResidencyCell> cells) const;

    /// Frees addresses, frames and swap space now; the handle is empty afterwards. Throws std::system_error: EINVAL
    /// (the handle is empty: destroyed twice, or moved from), EBUSY (a `Pin` of the region lives; the region stays).
    void destroy();

private:
    friend class Pager;
    explicit Region(std::shared_ptr<pager::OwnedRegion> owned) noexcept;

    std::shared_ptr<pager::OwnedRegion> owned_;
    pager::Region* region_ = nullptr;  // the one that `owned_` owns
};

}  // namespace v0
}  // namespace faultline
