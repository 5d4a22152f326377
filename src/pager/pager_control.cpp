// The control path: making and destroying pagers and regions, and what the program asks of a range. Throws, allocates,
// and keeps signals blocked wherever it owns a page or takes a lock of the fault path's.

#include "core/check.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "store/swap_space.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"
#include "sys/signal_block.hpp"

#include <faultline/pager.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace faultline::detail {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

constexpr std::size_t kMinimumPages = faultline::Pager::kMinimumPages;

/// What the fault path's functions ask of a caller that is not a fault.
struct FaultPathSection {
    sys::SignalBlock signals;
    Quiescence::Reader reader{RegionTree::readers()};
};

sys::Userfaultfd::Notify notify_for(Delivery delivery) noexcept {
    return delivery == Delivery::uffd_threads ? sys::Userfaultfd::Notify::by_message
                                              : sys::Userfaultfd::Notify::by_sigbus;
}

std::unique_ptr<store::StoreFactory> stores_for(const Config& config) {
    return std::make_unique<store::SwapSpace>(config.swap_directory, config.swap_file);
}

const Config& checked(const Config& config) {
    if (config.resident_limit < kMinimumPages * core::kUnitBytes) {
        sys::throw_error(EINVAL, "a resident limit of " + sys::readable_bytes(config.resident_limit) +
                                     " is too small: it must hold at least " + std::to_string(kMinimumPages) +
                                     " pages of 4 KiB (Config::resident_limit)");
    }
    if (config.handler_threads > 4096) sys::throw_error(EINVAL, "Config::handler_threads is above 4096");
    if (config.full_disk_patience.count() < 0) sys::throw_error(EINVAL, "Config::full_disk_patience is negative");
    return config;
}

/// A page per frame at most, with room for frames that change hands.
std::size_t frame_capacity(const Config& config) noexcept {
    constexpr std::size_t kInTransit = 65536;
    const std::size_t bytes = std::max(config.resident_limit, sys::physical_memory());
    return std::min<std::size_t>(bytes / core::kUnitBytes + kInTransit, 0xffff'fff0U);
}

}  // namespace

Pager::Pager(const Config& config, std::unique_ptr<store::StoreFactory> stores)
    : config_{checked(config)},
      generation_{sys::process_generation()},
      log_{config.log},
      stores_{stores ? std::move(stores) : stores_for(config)},
      uffd_{notify_for(config.delivery)},
      mapper_{uffd_, config.eviction},
      budget_{0},
      frames_{frame_capacity(config), config.resident_limit / core::kUnitBytes, config.replacement},
      evictor_{mapper_, budget_, frames_, staging_, regions_, guard_, log_},
      zeros_{sys::Mapping::reserve(kLargestPageBytes, core::kUnitBytes, true, "zeros")} {
    mapper_.watch_staging(staging_.area().data(), staging_.area().size());
    apply_limit(config.resident_limit, core::kUnitBytes);
    if (config.delivery == Delivery::uffd_signal) signal_source_.emplace(&Pager::resolve);
    if (config.delivery == Delivery::uffd_threads) {
        thread_source_ =
            std::make_unique<mmu::UffdThreadSource>(uffd_, mapper_, config.handler_threads, &Pager::resolve);
    }
    if (config.background_evictor) housekeeper_ = std::make_unique<Housekeeper>(*this);
    log_.say(LogLevel::info, std::string("pager with ") + sys::readable_bytes(config.resident_limit) + " resident, " +
                                 name(config.delivery) + ", eviction by " + name(eviction()));
}

Pager::~Pager() {
    housekeeper_.reset();
    log_.drain();
}

bool Pager::in_owner_process() const noexcept { return generation_ == sys::process_generation(); }

void Pager::require_owner_process() const {
    if (in_owner_process()) return;
    sys::throw_error(EPERM, "this pager belongs to the parent process: a child of fork cannot use it; make a new one");
}

// ---- regions

Region& Pager::reserve(std::size_t bytes, std::size_t page_bytes) {
    require_owner_process();
    if (page_bytes < kBasePageBytes || page_bytes > kLargestPageBytes || !std::has_single_bit(page_bytes)) {
        sys::throw_error(EINVAL, "a page size of " + std::to_string(page_bytes) +
                                     " bytes is not a power of two from 4 KiB to 2 MiB (RegionOptions::page_size)");
    }
    if (bytes == 0) sys::throw_error(EINVAL, "cannot reserve a region of 0 bytes");
    if (bytes > core::kUserAddressEnd) {
        sys::throw_error(ENOMEM, "cannot reserve " + sys::readable_bytes(bytes) + ": addresses end at 128 TiB");
    }
    const std::size_t size = core::align_up(bytes, page_bytes);
    if (size / page_bytes > 0xffff'ffffU) {
        sys::throw_error(ENOMEM,
                         "cannot reserve " + sys::readable_bytes(bytes) +
                             ": a region has at most 4294967295 pages; choose a larger RegionOptions::page_size");
    }
    const std::lock_guard lock{control_};
    const std::size_t largest = std::max(largest_page(), page_bytes);
    if (limit_bytes_.load() < kMinimumPages * largest) {
        sys::throw_error(EINVAL, "the resident limit of " + sys::readable_bytes(limit_bytes_.load()) +
                                     " is too small for pages of " + sys::readable_bytes(largest) + ": it must hold " +
                                     std::to_string(kMinimumPages) + " of them; raise it, or choose smaller pages");
    }
    std::unique_ptr<store::BackingStore> store = stores_->open(size);
    const std::uint32_t id = regions_.take_id();
    try {
        auto region = std::make_unique<Region>(*this, mapper_, id, size, page_bytes, std::move(store),
                                               config_.delivery == Delivery::uffd_threads);
        mapper_.watch_region(region->view().data(), size);
        apply_limit(limit_bytes_.load(), largest);
        RegionTree::insert(*region);
        regions_.set(id, region.get());
        return *region.release();
    } catch (...) {
        regions_.give_back_id(id);
        throw;
    }
}

std::size_t Pager::largest_page() const {
    std::size_t largest = core::kUnitBytes;
    regions_.for_each([&](const Region& region) { largest = std::max(largest, region.page_bytes()); });
    return largest;
}

void Pager::destroy(Region& region) {
    require_owner_process();
    if (region.counters().sum(Count::pinned) > 0) {
        sys::throw_error(EBUSY, "the region still has pinned pages: destroy its Pins first");
    }
    const std::lock_guard lock{control_};
    RegionTree::remove(region);  // no fault finds it any more; those that found it before have ended
    const std::uint32_t id = region.id();
    {
        const FaultPathSection section;
        forget_pages(region);
    }
    // Batches may still name pages of the region, and the evictor may have read such a name just now.
    staging_.forget_region(id);
    RegionTree::readers().synchronize();

    gone_ += region_stats(region.counters(), region.page_bytes());
    regions_.set(id, nullptr);
    RegionTree::readers().synchronize();
    delete &region;
    regions_.give_back_id(id);
    apply_limit(limit_bytes_.load(), largest_page());
}

/// Takes every page of a region that nobody can reach any more away from the evictor, then its frames from the kernel.
void Pager::forget_pages(Region& region) {
    std::int64_t units = 0;
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        PageWord seen = region.load(page);
        for (;;) {
            if (seen.busy()) {  // the evictor has it for a moment
                region.wait(page, seen);
                seen = region.load(page);
                continue;
            }
            const bool mapped = seen.is(PageState::resident);
            const PageWord claimed = mapped ? seen.claimed_for_eviction() : seen.claimed_for_fill();
            if (!region.try_change(page, seen, claimed)) continue;
            if (mapped) {
                frames_.remove(seen.payload());
                units += region.page_units();
            }
            region.publish(page, [](PageWord word) { return word.discarded(); });
            return;
        }
    });
    const iovec all{region.view().data(), region.view().size()};
    mapper_.drop({&all, 1});
    budget_.release(units);
}

// ---- the limit

void Pager::set_resident_limit(std::size_t bytes) {
    require_owner_process();
    const std::lock_guard lock{control_};
    const std::size_t before = limit_bytes_.load();
    const std::size_t largest = largest_page();
    if (bytes < kMinimumPages * largest) {
        sys::throw_error(EINVAL, "a resident limit of " + sys::readable_bytes(bytes) + " is too small: it must hold " +
                                     std::to_string(kMinimumPages) + " pages of " + sys::readable_bytes(largest));
    }
    if (bytes / core::kUnitBytes > frames_.capacity()) {
        sys::throw_error(EINVAL, "a resident limit of " + sys::readable_bytes(bytes) + " is more than the machine has");
    }
    const auto unpinned_minimum = static_cast<std::int64_t>(kMinimumPages * largest / core::kUnitBytes);
    if (pinned_units_.load() + unpinned_minimum > static_cast<std::int64_t>(bytes / core::kUnitBytes)) {
        sys::throw_error(EBUSY, "pins hold too much for a resident limit of " + sys::readable_bytes(bytes));
    }
    try {
        apply_limit(bytes, largest);
        int write_error = 0;
        for (int failures = 0; budget_.available() < 0 && failures < 100;) {
            const FaultPathSection section;
            const Reclaimed reclaimed = reclaim_directly(-budget_.available());
            if (reclaimed.write_error != 0 && reclaimed.units == 0) {
                write_error = reclaimed.write_error;
                ++failures;
            }
        }
        if (budget_.available() < 0) {
            sys::throw_error(write_error, "cannot shrink the resident limit to " + sys::readable_bytes(bytes) +
                                              ": the swap store does not take what would have to leave");
        }
    } catch (...) {
        apply_limit(before, largest);
        throw;
    }
}

/// Sets everything that follows from the limit. One page is set aside: where a page is copied, it exists twice for a
/// moment.
void Pager::apply_limit(std::size_t bytes, std::size_t largest_page) {
    const auto units = static_cast<std::int64_t>((bytes - largest_page) / core::kUnitBytes);
    const auto largest_units = static_cast<std::int64_t>(largest_page / core::kUnitBytes);
    const std::int64_t pages = units / largest_units;
    // Below this a second chance or a head start would take frames that the program needs.
    constexpr std::int64_t kFew = 256;
    const bool few = pages < kFew;
    const sys::SignalBlock signals;
    limit_bytes_.store(bytes);
    low_water_.store(few ? 0 : units / 100);
    high_water_.store(few ? 0 : units / 50);
    staging_target_.store(few ? 0 : frames_.staging_target(static_cast<std::size_t>(units)));
    direct_batch_.store(static_cast<std::size_t>(std::clamp<std::int64_t>(pages / 32, 1, 8)));
    frames_are_few_.store(pages < 16 * kFew);
    frames_.resized(static_cast<std::size_t>(units));
    budget_.set_limit(units);
}

// ---- what the program asks of a range

namespace {

/// Pages that a discard owns, given back to the kernel and the store in one go.
class DiscardGroup {
public:
    DiscardGroup(Region& region, mmu::Mapper& mapper, FrameTable& frames, FrameBudget& budget) noexcept
        : region_{region}, mapper_{mapper}, frames_{frames}, budget_{budget} {}

    [[nodiscard]] bool full() const noexcept { return count_ == kMost; }
    void add(std::uint64_t page, PageWord was) noexcept { pages_[count_++] = {page, was}; }

    void flush() {
        std::array<iovec, kMost> ranges{};
        std::size_t drops = 0;
        std::int64_t units = 0;
        for (const Owned& owned : owned_pages()) {
            const bool mapped = owned.was.is(PageState::resident);
            if (!mapped && !owned.was.is(PageState::poisoned)) continue;
            ranges[drops++] = {region_.address_of(owned.page), region_.page_bytes()};
            if (mapped) units += region_.page_units();
        }
        if (drops > 0) mapper_.drop({ranges.data(), drops});
        give_slots_back();
        for (const Owned& owned : owned_pages()) {
            if (owned.was.is(PageState::resident)) frames_.remove(owned.was.payload());
            region_.publish(owned.page, [](PageWord word) { return word.discarded(); });
        }
        budget_.release(units);
        count_ = 0;
    }

private:
    static constexpr std::size_t kMost = 64;
    struct Owned {
        std::uint64_t page;
        PageWord was;
    };

    [[nodiscard]] std::span<const Owned> owned_pages() const noexcept { return {pages_.data(), count_}; }

    /// While the pages are owned: a slot given back later could be in use again.
    void give_slots_back() {
        for (std::size_t i = 0; i < count_;) {
            std::size_t end = i;
            while (end < count_ && pages_[end].was.has_slot() && pages_[end].page == pages_[i].page + (end - i)) ++end;
            if (end > i) {
                region_.store().discard(region_.offset_of(pages_[i].page), (end - i) * region_.page_bytes());
            }
            i = std::max(end, i + 1);
        }
    }

    Region& region_;
    mmu::Mapper& mapper_;
    FrameTable& frames_;
    FrameBudget& budget_;
    std::array<Owned, kMost> pages_{};
    std::size_t count_ = 0;
};

}  // namespace

void Pager::discard(Region& region, PageRange range) {
    require_owner_process();
    bool found_pinned = false;
    {
        const FaultPathSection section;
        DiscardGroup group{region, mapper_, frames_, budget_};
        region.table().for_each_touched(range, [&](std::uint64_t page) {
            PageWord seen = region.load(page);
            for (;;) {
                if (seen.is(PageState::empty)) return;
                if (seen.busy()) {
                    group.flush();  // nobody may wait while owning pages
                    region.wait(page, seen);
                    seen = region.load(page);
                    continue;
                }
                const bool mapped = seen.is(PageState::resident);
                if (mapped && seen.pins() > 0) {
                    found_pinned = true;
                    return;
                }
                if (!region.try_change(page, seen, mapped ? seen.claimed_for_eviction() : seen.claimed_for_fill()))
                    continue;
                group.add(page, seen);
                if (group.full()) group.flush();
                return;
            }
        });
        group.flush();
    }
    if (found_pinned) sys::throw_error(EBUSY, "pages of the range are pinned and were not discarded");
}

void Pager::set_protection(Region& region, PageRange range, Access access) {
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        PageWord seen = region.load(page);
        while (!region.try_change(page, seen, seen.with_protection(access))) {
        }
    }
}

bool Pager::any_resident(Region& region, PageRange range) const {
    bool found = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        found |= seen.busy() || seen.is(PageState::resident);
    });
    return found;
}

void Pager::protect(Region& region, PageRange range, Access access) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    std::byte* const address = region.address_of(range.first);
    const std::size_t bytes = range.count * region.page_bytes();
    const auto refuse = [&](int error) {
        sys::throw_error(error, "cannot change the protection of " + sys::readable_bytes(bytes) +
                                    (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
    };
    if (access == Access::read_write) {  // open the mapping before anybody is let in
        if (const int error = sys::set_access(address, bytes, access)) refuse(error);
        set_protection(region, range, access);
        return;
    }
    bool pinned = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) { pinned |= region.load(page).pins() > 0; });
    if (access == Access::none && pinned) sys::throw_error(EBUSY, "pages of the range are pinned");

    set_protection(region, range, access);
    if (access == Access::none) {
        // The kernel moves and copies nothing out of a mapping without access, so what is resident leaves first; what
        // is absent cannot come in any more.
        store::SequentialWriteQueue queue;
        while (any_resident(region, range)) {
            const FaultPathSection section;
            const Reclaimed evicted = evictor_.evict(region, range, queue);
            if (evicted.write_error != 0 && !evicted.progress) break;  // staged is off the view, too
        }
    }
    if (const int error = sys::set_access(address, bytes, access)) {
        set_protection(region, range, Access::read_write);
        refuse(error);
    }
}

void Pager::bring_ahead(Region& region, PageRange range) {
    require_owner_process();
    const std::uint64_t at_once = std::max<std::uint64_t>(BufferPool::kBufferBytes / region.page_bytes(), 1);
    std::uint64_t page = range.first;
    while (page < range.end()) {
        const FaultPathSection section;
        FrameReservation frames{budget_, 0};
        const std::uint64_t count = claim_stored(region, page, std::min(at_once, range.end() - page), frames);
        if (count == 0) {
            if (budget_.available() < region.page_units()) return;  // as far as free frames reach
            ++page;
            continue;
        }
        if (read_and_map(region, page, count, false) != 0) {
            abandon_claims(region, page, count);  // only advice: the access itself will report it
            page += count;
            continue;
        }
        for (std::uint64_t i = 0; i < count; ++i) {
            publish_resident(region, page + i, false, {policy::Arrival::Kind::read_ahead}, frames);
        }
        region.counters().add(Count::read_ahead, static_cast<std::int64_t>(count));
        page += count;
    }
}

void Pager::evict(Region& region, PageRange range) {
    require_owner_process();
    const FaultPathSection section;
    store::SequentialWriteQueue queue;
    static_cast<void>(evictor_.evict(region, range, queue));  // only advice: what the store refuses stays
}

void Pager::retry(Region& region, PageRange range) {
    require_owner_process();
    const FaultPathSection section;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        PageWord seen = region.load(page);
        while (seen.is(PageState::poisoned)) {
            if (!region.try_change(page, seen, seen.claimed_for_fill())) continue;
            const iovec poison{region.address_of(page), region.page_bytes()};
            mapper_.drop({&poison, 1});
            region.publish(page, [](PageWord word) { return word.fill_abandoned(word.home()); });
            return;
        }
    });
}

// ---- pins

void Pager::pin(Region& region, PageRange range, PinFor purpose) {
    require_owner_process();
    const std::int64_t units = static_cast<std::int64_t>(range.count) * region.page_units();
    const auto all_units = static_cast<std::int64_t>(limit_bytes_.load() / core::kUnitBytes);
    std::size_t largest = 0;
    {
        const std::lock_guard lock{control_};
        largest = largest_page();
    }
    const auto left_for_faults = static_cast<std::int64_t>(kMinimumPages * largest / core::kUnitBytes);
    if (range.count > 0xffff'ffffU || pinned_units_.fetch_add(units) + units + left_for_faults > all_units) {
        pinned_units_.fetch_sub(units);
        sys::throw_error(
            ENOMEM, "pinning " + sys::readable_bytes(static_cast<std::uint64_t>(units) * core::kUnitBytes) +
                        " would leave too little of the resident limit of " + sys::readable_bytes(limit_bytes_.load()) +
                        " for faults; pin less, or raise the limit");
    }
    for (std::uint64_t i = 0; i < range.count; ++i) {
        const int error = pin_page(region, range.first + i, purpose);
        if (error == 0) continue;
        unpin(region, {range.first, i});
        pinned_units_.fetch_sub(units - static_cast<std::int64_t>(i) * region.page_units());
        sys::throw_error(error,
                         "cannot pin a page" + std::string(error == EACCES ? ": its protection forbids the purpose"
                                                           : error == EIO  ? ": the store could not read it back"
                                                                           : ""));
    }
}

int Pager::pin_page(Region& region, std::uint64_t page, PinFor purpose) {
    const bool write = purpose == PinFor::writing;
    PageWord seen = region.load(page);
    for (;;) {
        if (seen.protection() == Access::none || (write && seen.protection() == Access::read)) return EACCES;
        if (seen.is(PageState::resident) && (!write || seen.dirty())) {
            if (seen.pins() == PageWord::kMaxPins) return EOVERFLOW;
            if (region.try_change(page, seen, seen.with_pin_added())) return 0;
            continue;
        }
        const sys::SignalBlock signals;
        const core::PageFault wanted{core::address_of(region.address_of(page)),
                                     write ? core::FaultAccess::write : core::FaultAccess::read,
                                     core::FaultOrigin::control_call, sys::thread_token()};
        if (resolve(wanted) == core::FaultOutcome::failed) {
            return region.load(page).is(PageState::poisoned) ? EIO : ENOSPC;
        }
        seen = region.load(page);
    }
}

void Pager::unpin(Region& region, PageRange range) noexcept {
    if (!in_owner_process()) return;
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        region.publish(page, [](PageWord word) { return word.with_pin_removed(); });
    }
    pinned_units_.fetch_sub(static_cast<std::int64_t>(range.count) * region.page_units());
    budget_.changed();
}

// ---- looking at it

PagerStats Pager::stats() {
    PagerStats all;
    {
        const std::lock_guard lock{control_};
        static_cast<RegionStats&>(all) = gone_;
        regions_.for_each([&](const Region& region) {
            static_cast<RegionStats&>(all) += region_stats(region.counters(), region.page_bytes());
        });
    }
    all.resident_limit = limit_bytes_.load();
    all.frames_used = static_cast<std::uint64_t>(std::max<std::int64_t>(budget_.used(), 0)) * core::kUnitBytes;
    all.direct_reclaims = static_cast<std::uint64_t>(counters_.sum(Count::direct_reclaims));
    all.first_touch_latency = latencies_.read(FaultKind::first_touch);
    all.hard_latency = latencies_.read(FaultKind::hard);
    all.soft_latency = latencies_.read(FaultKind::soft);
    all.write_latency = latencies_.read(FaultKind::write);
    log_.drain();
    return all;
}

}  // namespace faultline::detail
