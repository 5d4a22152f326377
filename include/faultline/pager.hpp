// Pager: answers the page faults of its regions within one limit of resident memory. The door to the library.
// It is not a global: a process may have several, each with its own limit, swap file and threads.
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

class AddressSpace;
class Heap;
namespace space {
class StackArea;
}

/// Safe to use from any thread, not from a signal handler. Regions keep what they need of their pager alive, so the
/// handles may be destroyed in any order.
class FAULTLINE_API Pager {
public:
    /// The smallest `resident_limit`, in pages of the largest page size in use. One instruction can need four pages at
    /// once (both operands straddling a boundary); the rest is one page in flight and room to copy. Any number of
    /// threads makes progress with it.
    static constexpr std::size_t kMinimumPages = 8;

    /// Opens the swap file, the userfaultfd, and starts the threads. Throws std::system_error, naming what failed and
    /// what to do: EINVAL (limit too small), ENOENT/EACCES/ENOTDIR/ENOSPC (swap directory), EPERM/ENOSYS (delivery not
    /// allowed or not in this kernel), EEXIST (swap file exists).
    explicit Pager(const Config& config = {});
    ~Pager();
    Pager(Pager&&) noexcept;
    Pager& operator=(Pager&&) noexcept;

    /// Reserves `bytes` (rounded up to whole pages) of addresses that read as zeros and page on demand. Costs no
    /// memory until touched. Throws std::system_error: EINVAL (no bytes, page size not a power of two from 4 KiB to
    /// 2 MiB, limit below `kMinimumPages` such pages), ENOMEM (no addresses left), EFBIG (swap space).
    [[nodiscard]] Region reserve(std::size_t bytes, RegionOptions options = {});

    /// Changes the limit, in bytes. When it shrinks, returns once no more than `bytes` are resident. Throws
    /// std::system_error: EINVAL below `kMinimumPages` pages or above the machine's memory, EBUSY when pins hold more,
    /// ENOSPC or EIO when the store does not take what has to leave (the limit then stays as it was).
    void set_resident_limit(std::size_t bytes);

    /// The limit, in bytes.
    [[nodiscard]] std::size_t resident_limit() const noexcept;

    /// How faults arrive.
    [[nodiscard]] Delivery delivery() const noexcept;

    /// How pages leave: `move` or `copy`, never `automatic`.
    [[nodiscard]] Eviction eviction() const noexcept;

    /// What the pager and all its regions have counted.
    [[nodiscard]] PagerStats stats() const;

private:
    friend class AddressSpace;
    friend class Heap;
    friend class space::StackArea;

    std::shared_ptr<pager::Pager> pager_;
};

}  // namespace faultline
