// PageRuns: the free pages of a heap's reservation. Spans come from the bottom, where the break grows upward as in
// brk(2). Large blocks come from the top, where the mapping area grows downward. Pages between the two frontiers were
// never used, or were discarded. Free runs of either area are kept by address, to join neighbours, and by length, for
// best fit. It knows page numbers only; PageLife knows which pages hold bytes. Used by HeapPages.
#pragma once

#include "core/page_range.hpp"
#include "heap/record_pool.hpp"

#include <boost/intrusive/set.hpp>

#include <cstdint>
#include <optional>
#include <tuple>

namespace faultline::heap {

enum class Area : std::uint8_t { brk, mappings };

/// Not thread-safe: HeapPages calls it with its lock held.
class PageRuns {
public:
    /// `origin`: page number of the reservation's begin in the address space, for alignments.
    PageRuns(std::uint64_t pages, std::uint64_t origin);
    PageRuns(const PageRuns&) = delete;
    PageRuns& operator=(const PageRuns&) = delete;

    /// Takes `count` pages whose address is a multiple of `alignment` pages (a power of two). Tries the other area if
    /// this one is full. Returns nothing if neither has room.
    [[nodiscard]] std::optional<core::PageRange> take(Area area, std::uint64_t count, std::uint64_t alignment);

    /// Takes [first, first + count). Returns false unless all of it is free.
    [[nodiscard]] bool take_at(std::uint64_t first, std::uint64_t count);

    /// Makes the pages free.
    void give(core::PageRange pages);

    /// Takes the free run around `page`, for example to discard it. The caller gives it back.
    [[nodiscard]] std::optional<core::PageRange> take_run_around(std::uint64_t page);

    /// Takes the free run that ends at the break, or begins at the floor, for the same purpose.
    [[nodiscard]] std::optional<core::PageRange> take_run_at_frontier(Area area);

    /// Moves the frontier of the area and takes up to `most` pages beyond it, for the same purpose.
    [[nodiscard]] core::PageRange take_beyond_frontier(Area area, std::uint64_t most);

    /// Gives back a run whose pages are fresh now. If it ends at a frontier, the frontier retreats.
    void give_fresh(core::PageRange pages);

    [[nodiscard]] std::uint64_t break_page() const noexcept { return break_; }  ///< End of the brk area.
    [[nodiscard]] std::uint64_t floor_page() const noexcept { return floor_; }  ///< Begin of the mapping area.
    [[nodiscard]] std::uint64_t pages() const noexcept { return pages_; }
    [[nodiscard]] std::uint64_t free_in(Area area) const noexcept { return free_[index(area)]; }

private:
    // No unlinking on destruction: the records of a destroyed heap are unmapped as a whole.
    using Unchecked = boost::intrusive::link_mode<boost::intrusive::normal_link>;
    using AddressHook = boost::intrusive::set_base_hook<boost::intrusive::tag<struct ByAddress>, Unchecked>;
    using LengthHook = boost::intrusive::set_base_hook<boost::intrusive::tag<struct ByLength>, Unchecked>;
    struct Run : AddressHook, LengthHook {
        core::PageRange range{};
    };
    struct FirstPage {
        using type = std::uint64_t;
        std::uint64_t operator()(const Run& run) const noexcept { return run.range.first; }
    };
    struct LengthAndFirst {
        using type = std::pair<std::uint64_t, std::uint64_t>;
        type operator()(const Run& run) const noexcept { return {run.range.count, run.range.first}; }
    };
    using AddressSet =
        boost::intrusive::set<Run, boost::intrusive::key_of_value<FirstPage>, boost::intrusive::base_hook<AddressHook>,
                              boost::intrusive::constant_time_size<false>>;
    using LengthSet =
        boost::intrusive::set<Run, boost::intrusive::key_of_value<LengthAndFirst>,
                              boost::intrusive::base_hook<LengthHook>, boost::intrusive::constant_time_size<false>>;

    static constexpr std::size_t index(Area area) noexcept { return static_cast<std::size_t>(area); }
    [[nodiscard]] Area area_of(std::uint64_t page) const noexcept { return page < break_ ? Area::brk : Area::mappings; }
    [[nodiscard]] std::uint64_t aligned_in(core::PageRange run, std::uint64_t alignment) const noexcept;
    [[nodiscard]] std::optional<core::PageRange> take_free(Area area, std::uint64_t count, std::uint64_t alignment);
    [[nodiscard]] std::optional<core::PageRange> take_at_break(std::uint64_t count, std::uint64_t alignment);
    [[nodiscard]] std::optional<core::PageRange> take_at_floor(std::uint64_t count, std::uint64_t alignment);
    [[nodiscard]] Run* around(std::uint64_t page) noexcept;
    void insert(core::PageRange range);
    core::PageRange remove(Run& run) noexcept;
    void cut(core::PageRange from, core::PageRange taken);

    std::uint64_t pages_;
    std::uint64_t origin_;
    std::uint64_t break_ = 0;
    std::uint64_t floor_;
    std::uint64_t free_[2] = {0, 0};
    RecordPool<Run> records_;
    AddressSet by_address_;
    LengthSet by_length_[2];
};

}  // namespace faultline::heap
