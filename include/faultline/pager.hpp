// Pager: answers the page faults of its regions within one limit of resident memory. Programs create it first; regions,
// heaps, address spaces and stacks are made from it. It is not a global: a process may have several, each with its own
// limit, swap file and threads.
#pragma once

#include <faultline/language.hpp>

#include <faultline/config.hpp>
#include <faultline/export.hpp>
#include <faultline/region.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <memory>

namespace faultline {

namespace space {
class StackArea;
}

inline namespace v0 {

class AddressSpace;
class Heap;
/// One limit of resident memory, one swap store and one delivery of faults, shared by the regions made from it.
///
/// Any thread may call the functions, but not in a signal handler. Regions, heaps, address spaces, stacks and pins keep
/// their pager alive, so the handles may be destroyed in any order.
///
///     faultline::Config config;
///     config.resident_limit = std::size_t{64} << 20;
///     faultline::Pager pager{config};
///     faultline::Region region = pager.reserve(std::size_t{4} << 30);  // 4 GiB that page within 64 MiB
class FAULTLINE_API Pager {
public:
    /// The smallest `resident_limit`, in pages of the largest page size in use. One instruction can need four pages at
    /// once: two operands that each straddle a page boundary. The rest is one page in flight and room to copy. Any
    /// number of threads makes progress with this limit.
    static constexpr std::size_t kMinimumPages = 8;

    /// Opens the swap file and the userfaultfd, and starts the threads. Throws std::system_error, whose text names what
    /// failed and what to do: EINVAL (a value of `config` out of range), ENOENT, EACCES, ENOTDIR or ENOSPC (swap
    /// directory), EPERM or ENOSYS (the delivery is not allowed, or not in this kernel), EEXIST (the swap file exists),
    /// ENOTSUP (the program runs under valgrind).
    explicit Pager(const Config& config = {});
    /// Gives up the handle. The pager lives on while regions, heaps, address spaces, stacks or pins use it.
    ~Pager();
    /// Takes over the pager of the other handle, which is empty afterwards: its functions throw EINVAL or return 0.
    Pager(Pager&&) noexcept;
    /// Gives up the own pager, then takes over that of the other handle.
    Pager& operator=(Pager&&) noexcept;
    Pager(const Pager&) = delete;
    Pager& operator=(const Pager&) = delete;

    /// True if the handle has a pager: it was not moved from.
    explicit operator bool() const noexcept { return pager_ != nullptr; }

    /// Reserves `bytes`, rounded up to whole pages, of addresses that read as zeros. Pages take memory when they are
    /// first touched. Throws std::system_error: EINVAL (0 bytes, a page size that is not a power of two from 4 KiB to
    /// 2 MiB, or a limit below `kMinimumPages` such pages), ENOMEM (no addresses left), EFBIG (the swap file would
    /// exceed the largest file size).
    [[nodiscard]] Region reserve(std::size_t bytes, RegionOptions options = {});

    /// Changes the limit, in bytes. When it shrinks, the call blocks until at most `bytes` are resident. A limit above
    /// the machine's memory is lowered to that, with a warning. Throws std::system_error: EINVAL (below `kMinimumPages`
    /// pages), EBUSY (pins hold more), ENOSPC or EIO (the store does not accept the pages to evict; the limit then
    /// stays as it was).
    void set_resident_limit(std::size_t bytes);

    /// Returns the limit of frames, in bytes. With `Config::memory_limit` it changes all the time.
    [[nodiscard]] std::size_t resident_limit() const noexcept;

    /// Changes `Config::memory_limit`, in bytes. When it shrinks, the call blocks until all memory fits. Compressed
    /// pages never get more than the limit that the pager was made with. Throws like `set_resident_limit`; EINVAL also
    /// means that the pager was made without a memory limit. `set_resident_limit` throws EINVAL if it has one.
    void set_memory_limit(std::size_t bytes);

    /// Returns the limit of all memory, in bytes; 0 if the pager was made without one.
    [[nodiscard]] std::size_t memory_limit() const noexcept;

    /// Returns how faults arrive; never `automatic`.
    [[nodiscard]] Delivery delivery() const noexcept;

    /// Returns how pages are taken away from the program: `move`, `copy`, `protect` or `guard`, never `automatic`.
    [[nodiscard]] Eviction eviction() const noexcept;

    /// Returns the sums over all regions, and the pager's own figures.
    [[nodiscard]] PagerStats stats() const;

private:
    friend class AddressSpace;
    friend class Heap;
    friend class space::StackArea;

    std::shared_ptr<pager::Pager> pager_;
};

}  // namespace v0
}  // namespace faultline
