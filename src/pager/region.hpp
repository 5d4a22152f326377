// Region: one reserved range with its page table, its store and its counters. It changes page words and keeps the
// gauges in step; it resolves nothing: that is the pager's.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_range.hpp"
#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "mmu/mapper.hpp"
#include "pager/access_map.hpp"
#include "pager/counters.hpp"
#include "store/backing_store.hpp"
#include "sys/mapping.hpp"
#include "table/page_set.hpp"
#include "table/page_table.hpp"

#include <boost/intrusive/set.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace faultline::space {
class StackArea;
}

namespace faultline::detail {

class Pager;

/// Whoever has made a region with gaps. Called by readers of RegionTree::readers() with signals blocked.
class RegionOwner {
public:
    virtual ~RegionOwner() = default;

    /// Of an access that is not allowed.
    [[nodiscard]] virtual core::ViolationReport report(const core::PageFault& fault) const FAULTLINE_SIGNAL_SAFE = 0;
};

/// What can be asked of a new region besides its size. All of it for a region with gaps.
struct RegionPlan {
    std::uintptr_t address = 0;  ///< Where it begins; 0: anywhere.
    /// Not null: it begins without any page that the program may use, Pager::open_pages opens some.
    const RegionOwner* owner = nullptr;
    /// Puts a store in front of the one that the region would have.
    std::function<std::unique_ptr<store::BackingStore>(std::unique_ptr<store::BackingStore>)> decorate{};
    /// The program sees its pages in views only (Pager::map_view). It has no store but what `decorate` makes of null.
    bool shared = false;
};

class Region : public boost::intrusive::set_base_hook<> {
public:
    /// `kernel_sleepers`: threads may sleep in the kernel for pages of this region, and must be woken through the
    /// mapper.
    Region(Pager& pager, mmu::Mapper& mapper, std::uint32_t id, std::size_t bytes, std::size_t page_bytes,
           std::unique_ptr<store::BackingStore> store, bool kernel_sleepers, const RegionPlan& plan)
        : pager_{pager},
          mapper_{mapper},
          id_{id},
          page_shift_{static_cast<unsigned>(std::countr_zero(page_bytes))},
          kernel_sleepers_{kernel_sleepers},
          owner_{plan.owner},
          shared_{plan.shared},
          staged_frames_{shared_ ? mmu::StagedFrames::stay : mapper.staged_frames()},
          view_{plan.address == 0 ? sys::Mapping::reserve(bytes, page_bytes, false, "a region")
                                  : sys::Mapping::reserve_at(plan.address, bytes, "a region")},
          table_{bytes >> page_shift_},
          store_{std::move(store)} {
        if (owner_ != nullptr) open_.emplace(table_.pages());
    }

    [[nodiscard]] Pager& pager() const noexcept { return pager_; }
    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    [[nodiscard]] sys::Mapping& view() noexcept { return view_; }
    [[nodiscard]] const sys::Mapping& view() const noexcept { return view_; }
    [[nodiscard]] store::BackingStore& store() const noexcept { return *store_; }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] const table::PageTable& table() const noexcept { return table_; }
    [[nodiscard]] bool kernel_sleepers() const noexcept { return kernel_sleepers_; }

    [[nodiscard]] bool shared() const noexcept { return shared_; }
    [[nodiscard]] mmu::StagedFrames staged_frames() const FAULTLINE_SIGNAL_SAFE { return staged_frames_; }

    /// Null for a region without gaps.
    [[nodiscard]] const RegionOwner* owner() const noexcept { return owner_; }
    [[nodiscard]] const table::PageSet& open_pages() const noexcept { return *open_; }

    /// What the program may do with `page`, whose word is `seen`.
    [[nodiscard]] Access access_to(std::uint64_t page, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE {
        return !open_ || open_->contains(page) ? seen.protection() : Access::none;
    }

    /// Serialises changes of protection and of what accesses are expected; never taken on the fault path.
    [[nodiscard]] std::mutex& protecting() noexcept { return protecting_; }

    [[nodiscard]] AccessMap& expected() noexcept { return expected_; }
    [[nodiscard]] policy::AccessAdvice expected_at(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return expected_.at(offset_of(page));
    }

    /// The stacks that a layer above has cut the region into, or null: kept here because the region is what a fault's
    /// address leads to. A reader of RegionTree may use them.
    [[nodiscard]] space::StackArea* stacks() const FAULTLINE_SIGNAL_SAFE {
        return stacks_.load(std::memory_order_acquire);
    }
    void set_stacks(space::StackArea* stacks) noexcept { stacks_.store(stacks, std::memory_order_release); }

    /// For an allocator above: a bit for each page whose bytes are of no use to anybody, so that it need not be written
    /// when it leaves; it may come back as zeros. The bit of a page is cleared before the program writes to it again.
    /// Must outlive the region.
    void set_dead_pages(const std::atomic<std::uint64_t>* bits) noexcept {
        dead_pages_.store(bits, std::memory_order_release);
    }
    /// Of a page that the program cannot write to at this moment.
    [[nodiscard]] bool is_dead(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        const std::atomic<std::uint64_t>* const bits = dead_pages_.load(std::memory_order_acquire);
        return bits != nullptr && (bits[page / 64].load() >> (page % 64) & 1) != 0;
    }

    // Where pages are.

    [[nodiscard]] std::uintptr_t begin() const noexcept { return core::address_of(view_.data()); }
    [[nodiscard]] std::uintptr_t end() const noexcept { return begin() + view_.size(); }
    [[nodiscard]] std::uint64_t pages() const noexcept { return table_.pages(); }
    [[nodiscard]] std::size_t page_bytes() const noexcept { return std::size_t{1} << page_shift_; }
    [[nodiscard]] std::int64_t page_units() const noexcept {
        return static_cast<std::int64_t>(page_bytes() / core::kUnitBytes);
    }
    [[nodiscard]] std::uint64_t page_of(std::uintptr_t address) const noexcept {
        return (address - begin()) >> page_shift_;
    }
    [[nodiscard]] std::byte* address_of(std::uint64_t page) const noexcept { return view_.data() + offset_of(page); }
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t page) const noexcept { return page << page_shift_; }
    [[nodiscard]] core::PageRef ref(std::uint64_t page) const noexcept {
        return {id_, static_cast<std::uint32_t>(page)};
    }

    // What pages are.

    [[nodiscard]] core::PageWord load(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE { return table_.load(page); }

    [[nodiscard]] bool try_change(std::uint64_t page, core::PageWord& seen,
                                  core::PageWord next) const FAULTLINE_SIGNAL_SAFE {
        if (!table_.try_change(page, seen, next)) return false;
        counters_.account(seen, next);
        return true;
    }

    /// Waits until nobody owns `page` and changes its word as `claim(word)` says; nothing if that returns nothing.
    /// Returns the word that was changed. `before_wait` is called before each wait: nobody may wait while owning other
    /// pages.
    template <typename Claim, typename BeforeWait>
    [[nodiscard]] std::optional<core::PageWord> claim_settled(std::uint64_t page, Claim claim,
                                                              BeforeWait before_wait) const FAULTLINE_SIGNAL_SAFE {
        core::PageWord seen = load(page);
        for (;;) {
            if (seen.busy()) {
                before_wait();
                wait(page, seen);
                seen = load(page);
                continue;
            }
            const std::optional<core::PageWord> claimed = claim(seen);
            if (!claimed) return std::nullopt;
            if (try_change(page, seen, *claimed)) return seen;
        }
    }
    template <typename Claim>
    [[nodiscard]] std::optional<core::PageWord> claim_settled(std::uint64_t page,
                                                              Claim claim) const FAULTLINE_SIGNAL_SAFE {
        return claim_settled(page, claim, [] {});
    }

    /// Applies `edge` for the owner of a page, and wakes whoever waited for it.
    template <typename Edge>
    void publish(std::uint64_t page, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        const core::PageWord before = table_.publish(page, edge);
        const core::PageWord after = edge(before);
        counters_.account(before, after);
        if (kernel_sleepers_ && before.waiters() && !after.waiters()) mapper_.wake(address_of(page), page_bytes());
    }

    /// Sleeps until the word of `page` may have changed from `seen`.
    void wait(std::uint64_t page, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE { table_.wait(page, seen); }

    /// After the waiters' mark has been taken off the word of a page that has no owner.
    void wake_waiters(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        table_.wake(page);
        if (kernel_sleepers_) mapper_.wake(address_of(page), page_bytes());
    }

    [[nodiscard]] bool announce_waiter(std::uint64_t page, core::PageWord& seen) const FAULTLINE_SIGNAL_SAFE {
        return table_.announce_waiter(page, seen);
    }

    friend bool operator<(const Region& left, const Region& right) noexcept { return left.begin() < right.begin(); }

private:
    Pager& pager_;
    mmu::Mapper& mapper_;
    std::uint32_t id_;
    unsigned page_shift_;
    bool kernel_sleepers_;
    const RegionOwner* owner_;
    bool shared_;
    mmu::StagedFrames staged_frames_;
    std::optional<table::PageSet> open_;  // of a region with gaps
    sys::Mapping view_;
    table::PageTable table_;
    std::unique_ptr<store::BackingStore> store_;
    Counters counters_;
    AccessMap expected_;
    std::mutex protecting_;
    std::atomic<space::StackArea*> stacks_{nullptr};
    std::atomic<const std::atomic<std::uint64_t>*> dead_pages_{nullptr};
};

}  // namespace faultline::detail
