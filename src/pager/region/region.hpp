// Region: one reserved range with its page table, its store and its counters. It changes page words and keeps the
// gauges in step with them. It resolves no fault (fault/) and evicts nothing (evict/).
#pragma once

#include "core/page_fault.hpp"
#include "core/page_range.hpp"
#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "mmu/mapper.hpp"
#include "pager/region/access_hints.hpp"
#include "pager/region/counters.hpp"
#include "pager/region/region_owner.hpp"
#include "pager/region/region_pager.hpp"
#include "pager/region/region_users.hpp"
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

namespace faultline::pager {

/// Options of a new region besides its size.
struct RegionPlan {
    std::uintptr_t address = 0;          ///< The address of the region; 0: any.
    const RegionOwner* owner = nullptr;  ///< See Region::owner.
    /// The program may use no page of the region until PageGaps::open opens it.
    bool gaps = false;
    /// A region with gaps that maps nothing but its open pages, at `address`. The gaps belong to the caller, who maps
    /// other memory there, or none. See PageGaps::map and PageGaps::release.
    bool window = false;
    /// Puts a store in front of the one that the region would have.
    std::function<std::unique_ptr<store::BackingStore>(std::unique_ptr<store::BackingStore>)> decorate{};
    /// The program uses the pages through views only (ViewMapper::map). `decorate` gets null and makes the store.
    bool shared = false;
};

class Region : public boost::intrusive::set_base_hook<> {
public:
    /// `mapper`: for private regions, or for shared ones, as `plan` says. `kernel_sleepers`: threads may sleep in the
    /// kernel for pages of this region; the mapper wakes them. `records`: counts the page words; may be null.
    Region(RegionPager& pager, mmu::Mapper& mapper, std::uint32_t id, std::size_t bytes, std::size_t page_bytes,
           std::unique_ptr<store::BackingStore> store, bool kernel_sleepers, const RegionPlan& plan,
           core::RecordMemory* records = nullptr)
        : pager_{pager},
          mapper_{mapper},
          id_{id},
          page_shift_{static_cast<unsigned>(std::countr_zero(page_bytes))},
          kernel_sleepers_{kernel_sleepers},
          shared_{plan.shared},
          window_{plan.window},
          mapping_{plan.window         ? sys::Mapping::unmapped(plan.address, bytes)
                   : plan.address == 0 ? sys::Mapping::reserve_for_region(bytes, page_bytes, "a region")
                                       : sys::Mapping::reserve_at(plan.address, bytes, "a region")},
          table_{bytes >> page_shift_, records},
          store_{std::move(store)},
          owner_{plan.owner} {
        if (plan.gaps || plan.window) open_.emplace(table_.pages());
    }
    ~Region() {
        if (window_) mapping_.abandon();
    }
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    [[nodiscard]] RegionPager& pager() const noexcept { return pager_; }
    [[nodiscard]] RegionUsers& users() noexcept { return users_; }
    /// Returns the mapper that changes the mappings of the region's pages, in all views if the region is shared.
    [[nodiscard]] mmu::Mapper& mapper() const FAULTLINE_SIGNAL_SAFE { return mapper_; }
    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    [[nodiscard]] sys::Mapping& mapping() noexcept { return mapping_; }
    [[nodiscard]] const sys::Mapping& mapping() const noexcept { return mapping_; }
    [[nodiscard]] store::BackingStore& store() const noexcept { return *store_; }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] const table::PageTable& table() const noexcept { return table_; }
    [[nodiscard]] bool kernel_sleepers() const noexcept { return kernel_sleepers_; }
    /// In a child of fork that takes its faults by signal, unlike its parent. The child has no other thread yet.
    void forget_kernel_sleepers() noexcept { kernel_sleepers_ = false; }

    [[nodiscard]] bool shared() const noexcept { return shared_; }
    [[nodiscard]] bool window() const FAULTLINE_SIGNAL_SAFE { return window_; }

    /// Returns the layer above that reserved the region, or null. The layer outlives the region, or sets the owner to
    /// null. The caller is a reader of RegionMap::readers(), or serialises with `set_owner`.
    [[nodiscard]] const RegionOwner* owner() const FAULTLINE_SIGNAL_SAFE {
        return owner_.load(std::memory_order_acquire);
    }
    void set_owner(const RegionOwner* owner) noexcept { owner_.store(owner, std::memory_order_release); }

    /// See RegionOwner::is_dead.
    [[nodiscard]] bool is_dead(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        const RegionOwner* const layer = owner();
        return layer != nullptr && layer->is_dead(page);
    }

    [[nodiscard]] bool has_gaps() const noexcept { return open_.has_value(); }
    /// Returns the pages that the program may use. Only where `has_gaps`.
    [[nodiscard]] const table::PageSet& open_pages() const noexcept { return *open_; }

    /// Returns what the program may do with `page`, whose word is `seen`.
    [[nodiscard]] Access access_to(std::uint64_t page, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE {
        return !open_ || open_->contains(page) ? seen.protection() : Access::none;
    }

    /// In a child of fork, before anything is mapped there: keeps the addresses that the region had mapped.
    void close_in_child() noexcept {
        if (!window_) return mapping_.close_in_child();
        open_->for_each_run(
            [&](core::PageRange run) { sys::close_if_free(address_of(run.first), offset_of(run.count)); });
    }

    /// See sys::copy_to_children. Not the gaps of a window, which belong to others.
    [[nodiscard]] int copy_to_children(bool on) const noexcept {
        if (!window_) return mapping_.copy_to_children(on);
        int error = 0;
        open_->for_each_run([&](core::PageRange run) {
            if (error == 0) error = sys::copy_to_children(address_of(run.first), offset_of(run.count), on);
        });
        return error;
    }

    /// Serialises changes of protection and of access hints; never taken on the fault path.
    [[nodiscard]] std::mutex& protecting() noexcept { return protecting_; }

    [[nodiscard]] AccessHints& access_hints() noexcept { return hints_; }
    [[nodiscard]] policy::AccessAdvice access_hint(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return hints_.at(offset_of(page));
    }

    // Addresses.

    [[nodiscard]] std::uintptr_t begin() const noexcept { return core::address_of(mapping_.data()); }
    [[nodiscard]] std::uintptr_t end() const noexcept { return begin() + mapping_.size(); }
    [[nodiscard]] std::uint64_t pages() const noexcept { return table_.pages(); }
    [[nodiscard]] std::size_t page_bytes() const noexcept { return std::size_t{1} << page_shift_; }
    [[nodiscard]] std::int64_t page_units() const noexcept {
        return static_cast<std::int64_t>(page_bytes() / core::kUnitBytes);
    }
    [[nodiscard]] std::uint64_t page_of(std::uintptr_t address) const noexcept {
        return (address - begin()) >> page_shift_;
    }
    [[nodiscard]] std::byte* address_of(std::uint64_t page) const noexcept { return mapping_.data() + offset_of(page); }
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t page) const noexcept { return page << page_shift_; }
    [[nodiscard]] core::PageRef ref(std::uint64_t page) const noexcept {
        return {id_, static_cast<std::uint32_t>(page)};
    }

    // Page words.

    [[nodiscard]] core::PageWord load(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE { return table_.load(page); }

    [[nodiscard]] bool try_change(std::uint64_t page, core::PageWord& seen,
                                  core::PageWord next) const FAULTLINE_SIGNAL_SAFE {
        if (!table_.try_change(page, seen, next)) return false;
        counters_.account(seen, next);
        return true;
    }

    /// Changes the word to `edge(word)`, and repeats that while other threads change it meanwhile. Returns the word
    /// before the change. Wakes no thread: `publish` does.
    template <typename Edge>
    core::PageWord update(std::uint64_t page, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        core::PageWord seen = load(page);
        while (!try_change(page, seen, edge(seen))) {
        }
        return seen;
    }

    /// The same, as long as `edge(word)` returns a word. If it returns nothing, so does this, and the word is
    /// unchanged.
    template <typename Edge>
    std::optional<core::PageWord> update_if(std::uint64_t page, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        core::PageWord seen = load(page);
        for (;;) {
            const std::optional<core::PageWord> next = edge(seen);
            if (!next) return std::nullopt;
            if (try_change(page, seen, *next)) return seen;
        }
    }

    /// Waits until no thread owns `page`, then changes its word to `claim(word)`. Returns the word before the change;
    /// nothing, with the word unchanged, if `claim` returns nothing. Calls `before_wait` before each wait: there the
    /// caller gives up other pages that it owns, since no thread may wait while it owns a page.
    template <typename Claim, typename BeforeWait>
    [[nodiscard]] std::optional<core::PageWord> wait_and_claim(std::uint64_t page, Claim claim,
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
    [[nodiscard]] std::optional<core::PageWord> wait_and_claim(std::uint64_t page,
                                                               Claim claim) const FAULTLINE_SIGNAL_SAFE {
        return wait_and_claim(page, claim, [] {});
    }

    /// Changes the word to `edge(word)`, which ends the caller's ownership of the page, and wakes the threads that wait
    /// for the page.
    template <typename Edge>
    void publish(std::uint64_t page, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        const core::PageWord before = table_.publish(page, edge);
        const core::PageWord after = edge(before);
        counters_.account(before, after);
        if (kernel_sleepers_ && before.waiters() && !after.waiters()) mapper_.wake(address_of(page), page_bytes());
    }

    /// Sleeps until the word of `page` may have changed from `seen`.
    void wait(std::uint64_t page, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE { table_.wait(page, seen); }

    /// Wakes the threads that wait for a page without an owner. The caller has cleared the waiters' mark in its word.
    void wake_waiters(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        table_.wake(page);
        if (kernel_sleepers_) mapper_.wake(address_of(page), page_bytes());
    }

    [[nodiscard]] bool announce_waiter(std::uint64_t page, core::PageWord& seen) const FAULTLINE_SIGNAL_SAFE {
        return table_.announce_waiter(page, seen);
    }

    friend bool operator<(const Region& left, const Region& right) noexcept { return left.begin() < right.begin(); }

private:
    RegionPager& pager_;
    mmu::Mapper& mapper_;
    std::uint32_t id_;
    unsigned page_shift_;
    bool kernel_sleepers_;
    bool shared_;
    bool window_;
    std::optional<table::PageSet> open_;  // of a region with gaps
    sys::Mapping mapping_;
    table::PageTable table_;
    std::unique_ptr<store::BackingStore> store_;
    Counters counters_;
    AccessHints hints_;
    std::mutex protecting_;
    std::atomic<const RegionOwner*> owner_;
    RegionUsers users_;
};

}  // namespace faultline::pager
