// Mappers: the two mappers of one pager, and what its regions have in common: the staging area, the views, and the
// kernel's limit on mappings. Region keeps a reference to its own mapper; only what belongs to no region is asked here.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"

#include <faultline/types.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::mmu {

/// Fault path calls are signal-safe. Sizes are in bytes; addresses are page-aligned.
class Mappers {
public:
    Mappers() = default;
    virtual ~Mappers() = default;
    Mappers(const Mappers&) = delete;
    Mappers& operator=(const Mappers&) = delete;

    /// The mapper of regions that the program uses at their own addresses.
    [[nodiscard]] virtual Mapper& private_mapper() noexcept = 0;
    /// The mapper of regions that the program uses through views. Only where `prepare_views`.
    [[nodiscard]] virtual Mapper& shared_mapper() noexcept = 0;

    /// Releases what belongs to the parent. Call in a child of fork, before the staging area and the regions are
    /// watched again. Throws std::system_error.
    virtual void start_in_child() {}

    /// Returns how pages are evicted, for statistics: never `automatic`.
    [[nodiscard]] virtual Eviction eviction() const noexcept = 0;

    /// Returns true if a page that cannot be filled can be made to raise SIGBUS (Mapper::poison).
    [[nodiscard]] virtual bool can_poison() const FAULTLINE_SIGNAL_SAFE = 0;

    // ---- Staging area

    /// Sets the staging area: the memory that holds the slots of staged pages. Throws std::system_error.
    virtual void watch_staging(void* address, std::size_t bytes) = 0;

    /// Returns true if `address` is in the staging area, where no thread should fault.
    [[nodiscard]] virtual bool is_staging(std::uintptr_t) const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Frees the frames in slots. Does nothing to slots that hold none.
    virtual void drop_slots(std::span<const iovec> slots) FAULTLINE_SIGNAL_SAFE = 0;

    /// Frees copies that Mapper::mapped_bytes and Mapper::staged_bytes made in adjacent slots. The caller reads them no
    /// more.
    virtual void release_copies(void*, std::size_t) FAULTLINE_SIGNAL_SAFE {}

    // ---- Views of shared regions

    /// Returns true if shared regions work here. Called before the first is created. Throws std::system_error (EMFILE).
    [[nodiscard]] virtual bool prepare_views() { return false; }

    /// `map_view` maps the pages of a shared region from `source` on over a range. Nothing is mapped in the range, and
    /// no access to it succeeds before or after the call. `unmap_view` makes the range one of a private region again.
    /// Both return 0 or an errno; on error nothing has changed.
    [[nodiscard]] virtual int map_view(void* address, std::size_t bytes, const void* source) noexcept = 0;
    [[nodiscard]] virtual int unmap_view(void* address, std::size_t bytes) noexcept = 0;

    // ---- Limit on mappings

    /// Returns true if the process has nearly as many mappings as the kernel allows (vm.max_map_count) because of
    /// scattered mapped pages. Calls may soon fail with ENOMEM: evict the runs that `fragmenting_runs` returns.
    [[nodiscard]] virtual bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// Like short_of_mappings, but true a little earlier: background threads begin to evict such runs.
    [[nodiscard]] virtual bool low_on_mappings() const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Fills `runs` with short runs of mapped pages, shortest first, whose eviction frees mappings. Each is named by
    /// its address in its region, also if it is mapped in a view. The next call continues the search. Returns the
    /// number of runs.
    [[nodiscard]] virtual std::size_t fragmenting_runs(std::span<iovec>) FAULTLINE_SIGNAL_SAFE { return 0; }
};

}  // namespace faultline::mmu
