// The control path: making and destroying pagers and regions, the limit, the statistics. Throws, allocates, and keeps
// signals blocked wherever it owns a page or takes a lock of the fault path's. What is asked of a range:
// range_control.cpp.

#include "core/check.hpp"
#include "mmu/delivery_trial.hpp"
#include "mmu/protect_mapper.hpp"
#include "mmu/uffd_mapper.hpp"
#include "pager/fault_path_section.hpp"
#include "pager/forking.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "pager/unseen_writes.hpp"
#include "store/compressed_space.hpp"
#include "store/swap_space.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"
#include "sys/page_merging.hpp"
#include "sys/signal_block.hpp"
#include "sys/transient.hpp"
#include "sys/valgrind.hpp"

#include <faultline/pager.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>

namespace faultline::detail {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

constexpr std::size_t kMinimumPages = faultline::Pager::kMinimumPages;
constexpr std::size_t kLeastCompressed = std::size_t{256} << 10;

std::optional<sys::Userfaultfd> userfaultfd_for(Delivery delivery, ForkPolicy fork) {
    if (delivery == Delivery::sigsegv) return std::nullopt;
    using sys::Userfaultfd;
    return Userfaultfd{
        delivery == Delivery::uffd_threads ? Userfaultfd::Notify::by_message : Userfaultfd::Notify::by_sigbus,
        fork == ForkPolicy::inherit ? Userfaultfd::InChildren::opened_again : Userfaultfd::InChildren::not_used};
}

std::unique_ptr<mmu::Mapper> mapper_for(std::optional<sys::Userfaultfd>& uffd, Eviction eviction) {
    if (!uffd) return std::make_unique<mmu::ProtectMapper>(eviction);
    return std::make_unique<mmu::UffdMapper>(*uffd, eviction);
}

std::unique_ptr<store::StoreFactory> stores_for(const Config& config) {
    auto files = std::make_unique<store::SwapSpace>(config.swap_directory, config.swap_file);
    if (config.compressed_limit == 0) return files;
    return std::make_unique<store::CompressedSpace>(std::move(files), config.compressed_limit, config.compressed_limit);
}

/// Faults that valgrind's simulated CPU raises do not reach a pager as the kernel's do: memory would be lost.
void refuse_valgrind() {
    if (!sys::runs_under_valgrind()) return;
    sys::throw_error(ENOTSUP,
                     "valgrind cannot run a program whose page faults faultline answers: run it without "
                     "valgrind, or build it with -fsanitize=address, which faultline supports");
}

const Config& checked(const Config& config) {
    refuse_valgrind();
    if (config.resident_limit < kMinimumPages * core::kUnitBytes) {
        sys::throw_error(EINVAL, "a resident limit of " + sys::readable_bytes(config.resident_limit) +
                                     " is too small: it must hold at least " + std::to_string(kMinimumPages) +
                                     " pages of 4 KiB (Config::resident_limit)");
    }
    if (config.compressed_limit != 0 && config.compressed_limit < kLeastCompressed) {
        sys::throw_error(EINVAL, "Config::compressed_limit of " + sys::readable_bytes(config.compressed_limit) +
                                     " is too small: it must be 0, or at least 256 KiB");
    }
    if (config.compressed_limit > sys::physical_memory()) {
        sys::throw_error(EINVAL, "Config::compressed_limit of " + sys::readable_bytes(config.compressed_limit) +
                                     " is more than the machine has");
    }
    if (config.staging_percent > 50) sys::throw_error(EINVAL, "Config::staging_percent is above 50");
    if (config.handler_threads > 4096) sys::throw_error(EINVAL, "Config::handler_threads is above 4096");
    if (config.full_disk_patience.count() < 0 || config.full_disk_patience > std::chrono::hours{24 * 365}) {
        sys::throw_error(EINVAL, "Config::full_disk_patience is negative, or longer than a year");
    }
    return config;
}

Config with_delivery(Config config, Delivery delivery) {
    config.delivery = delivery;
    return config;
}

/// A page per frame at most, with room for frames that change hands.
std::size_t frame_capacity(const Config& config) noexcept {
    constexpr std::size_t kInTransit = 65536;
    const std::size_t bytes = std::max(config.resident_limit, sys::physical_memory());
    return std::min<std::size_t>(bytes / core::kUnitBytes + kInTransit, 0xffff'fff0U);
}

}  // namespace

Pager::Pager(const Config& config, std::unique_ptr<store::StoreFactory> stores, std::unique_ptr<mmu::Mapper> mapper)
    : Pager{config,
            mapper ? mmu::ChosenDelivery{checked(config).delivery, "the mapper was given"}
                   : mmu::choose_delivery(checked(config).delivery, config.eviction),
            std::move(stores), std::move(mapper)} {}

Pager::Pager(const Config& config, const mmu::ChosenDelivery& chosen, std::unique_ptr<store::StoreFactory> stores,
             std::unique_ptr<mmu::Mapper> mapper)
    : config_{with_delivery(config, chosen.delivery)},
      generation_{sys::process_generation()},
      log_{config.log},
      stores_{stores ? std::move(stores) : stores_for(config)},
      takes_faults_{mapper == nullptr},
      uffd_{takes_faults_ ? userfaultfd_for(config_.delivery, config.fork) : std::nullopt},
      mapper_owner_{takes_faults_ ? mapper_for(uffd_, config.eviction) : std::move(mapper)},
      mapper_{*mapper_owner_},
      budget_{0},
      frames_{frame_capacity(config), config.resident_limit / core::kUnitBytes, config.replacement,
              config.staging_percent},
      staging_{config.resident_limit / core::kUnitBytes},
      evictor_{mapper_, budget_, frames_, staging_, regions_, guard_, log_},
      shared_frames_{mapper_, budget_, frames_, regions_, evictor_},
      filler_{mapper_, budget_, frames_, evictor_, shared_frames_},
      zeros_{sys::Mapping::reserve(kLargestPageBytes, core::kUnitBytes, true, "zeros")} {
    watch_staging();
    sys::PageMerging::look();
    apply_limit(config.resident_limit, core::kUnitBytes);
    if (!config.trace_file.empty()) {
        trace_ = std::make_unique<FaultTrace>(
            config.trace_file, [this](LogLevel level, std::string_view message) { log_.say(level, message); });
        trace_->start();
    }
    if (takes_faults_) start_taking_signals();
    start_threads();
    log_.say(LogLevel::info, std::string("pager with ") + sys::readable_bytes(config.resident_limit) +
                                 " resident, eviction by " + name(eviction()) + ", delivery " + name(config_.delivery) +
                                 ": " + chosen.reason);
    Forking::watch();
    if (config_.fork == ForkPolicy::inherit) Forking::add(*this);
}

void Pager::watch_staging() {
    mapper_.watch_staging(staging_.area().data(), staging_.area().size());
    watch_fence(staging_.area(), false);
}

/// What is watched is a mapping of its own kind: unless its fence is, too, it has none.
void Pager::watch_fence(const sys::Mapping& mapping, bool write_protect) {
    const std::span<std::byte> fence = mapping.fence();
    if (uffd_ && !fence.empty()) uffd_->watch(fence.data(), fence.size(), write_protect);
}

Pager::~Pager() {
    if (config_.fork == ForkPolicy::inherit) Forking::remove(*this);
    housekeeper_.reset();
    if (uffd_) uffd_->set_stand_in(nullptr);
    log_.flush();
}

bool Pager::in_owner_process() const noexcept { return generation_ == sys::process_generation(); }

void Pager::require_owner_process() const {
    if (in_owner_process()) return;
    sys::throw_error(EPERM, "this pager belongs to the parent process: a child of fork cannot use it; make a new one");
}

/// Faults now come to the program's handler first. It is told once for each time.
void Pager::report_later_handler() {
    if (!signal_source_) return;
    const bool in_front = signal_source_->in_front();
    if (later_handler_reported_.exchange(!in_front) || in_front) return;
    const char* const signal = signal_source_->signal() == SIGBUS ? "SIGBUS" : "SIGSEGV";
    log_.say(LogLevel::warning, std::string("a handler of ") + signal +
                                    " was installed after the pager's: managed memory works only as long as it calls "
                                    "the handler that sigaction returned to it");
}

// ---- regions

Region& Pager::reserve(std::size_t bytes, std::size_t page_bytes, const RegionPlan& plan) {
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
    report_later_handler();
    const std::lock_guard lock{control_};
    const std::size_t largest = std::max(page_sizes_.largest(), page_bytes);
    if (limit_bytes_.load() < kMinimumPages * largest) {
        sys::throw_error(EINVAL, "the resident limit of " + sys::readable_bytes(limit_bytes_.load()) +
                                     " is too small for pages of " + sys::readable_bytes(largest) + ": it must hold " +
                                     std::to_string(kMinimumPages) + " of them; raise it, or choose smaller pages");
    }
    std::unique_ptr<store::BackingStore> store = plan.shared ? nullptr : stores_->open_for_pages(size, page_bytes);
    if (plan.decorate) store = plan.decorate(std::move(store));
    const std::uint32_t id = regions_.take_id();
    try {
        auto region = std::make_unique<Region>(*this, mapper_, id, size, page_bytes, std::move(store),
                                               config_.delivery == Delivery::uffd_threads, plan);
        plan.shared ? mapper_.watch_shared(region->view().data(), size)
                    : mapper_.watch_region(region->view().data(), size);
        if (uffd_ && !plan.shared) {
            watch_fence(region->view(), true);
        } else {
            region->view().drop_fence();  // what is mapped over the region is of another kind
        }
        try {
            if (plan.shared) {
                change_views([&](auto& regions, auto&) { regions.push_back({region->begin(), region->end()}); });
            }
            if (plan.owner != nullptr) close_view(*region, {0, region->pages()});
            apply_limit(limit_bytes_.load(), largest);
            RegionTree::insert(*region);
        } catch (...) {
            if (plan.shared) forget_shared(*region);
            mapper_.unwatch_region(region->view().data());
            throw;
        }
        regions_.set(id, region.get());
        page_sizes_.add(page_bytes);
        return *region.release();
    } catch (...) {
        regions_.give_back_id(id);
        throw;
    }
}

/// No access to the range succeeds any more; nothing of it is mapped.
void Pager::close_view(const Region& region, PageRange range) {
    if (!mapper_.checks_access()) return;  // what is not mapped is a fault, and the open pages say no
    const std::size_t bytes = region.offset_of(range.count);
    if (const int error = mapper_.set_access(region.address_of(range.first), bytes, Access::none)) {
        sys::throw_error(error, "cannot take away access to " + sys::readable_bytes(bytes) +
                                    (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
    }
}

void Pager::destroy(Region& region) {
    require_owner_process();
    // In a region with gaps, views may be pinned, which no gauge tells of.
    const bool views_pinned = region.owner() != nullptr && any_pinned(region, {0, region.pages()});
    if (views_pinned || region.counters().sum(Count::pinned) > 0) {
        sys::throw_error(EBUSY, "the region still has pinned pages: destroy its Pins first");
    }
    if (region.owner() != nullptr) take_views(region, {0, region.pages()});
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
    {
        const FaultPathSection section;
        evictor_.settle_forgotten();
    }

    gone_ += region_stats(region.counters(), region.page_bytes());
    regions_.set(id, nullptr);
    page_sizes_.remove(region.page_bytes());
    RegionTree::readers().synchronize();
    if (region.shared()) forget_shared(region);
    mapper_.unwatch_region(region.view().data());
    delete &region;
    wake_to_return_space();
    regions_.give_back_id(id);
    apply_limit(limit_bytes_.load(), page_sizes_.largest());
}

/// Takes every page of a region that nobody can reach any more away from the evictor, then its frames from the kernel.
void Pager::forget_pages(Region& region) {
    std::int64_t units = 0;
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        const auto was = region.claim_settled(page, [](PageWord word) {
            return std::optional{word.is(PageState::resident) ? word.claimed_for_eviction() : word.claimed_for_fill()};
        });
        if (was->is(PageState::resident)) {
            frames_.remove(was->payload());
            units += region.page_units();
        }
        region.publish(page, [](PageWord word) { return word.discarded(); });
    });
    mapper_.empty_region(region.view().data(), region.view().size());
    budget_.release(units);
}

void Pager::forbid_merging() {
    require_owner_process();
    const std::lock_guard lock{control_};
    static_cast<void>(sys::PageMerging::forbid(staging_.area().data(), staging_.area().size()));
    if (!mapper_.protection_in_doubt()) return;
    regions_.for_each([&](const Region& region) {
        const FaultPathSection section;
        UnseenWrites{regions_}.find_in(region, {0, region.pages()});
    });
}

// ---- the limit

void Pager::set_resident_limit(std::size_t bytes) {
    require_owner_process();
    const std::lock_guard lock{control_};
    const std::size_t before = limit_bytes_.load();
    const std::size_t largest = page_sizes_.largest();
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
            if (!reclaimed.progress) sys::nap(std::chrono::microseconds{100});  // what is left is in faults' hands
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
    pinnable_units_.store(
        static_cast<std::int64_t>((bytes - std::min(bytes, kMinimumPages * largest_page)) / core::kUnitBytes));
    most_kept_free_.store(few ? 0 : units / 50);
    staging_target_.store(few ? 0 : frames_.staging_target(static_cast<std::size_t>(units)));
    direct_batch_.store(static_cast<std::size_t>(std::clamp<std::int64_t>(pages / 32, 1, 8)));
    frames_are_few_.store(pages < 16 * kFew);
    frames_.resized(static_cast<std::size_t>(units));
    budget_.set_limit(units);
}

std::uint64_t Pager::room_for(const Region& region, std::uint64_t promised) noexcept {
    const RegionStats stats = region_stats(region.counters(), region.page_bytes());
    const std::uint64_t touched = stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes;
    const std::uint64_t untouched = promised - std::min(promised, touched);
    const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(budget_.used(), 0)) * core::kUnitBytes;
    const std::uint64_t limit = limit_bytes_.load();
    const std::uint64_t in_store = stores_->room();
    // Frames that are free take what is promised first, then the store does.
    const std::uint64_t free = limit - std::min(limit, used);
    const std::uint64_t all = in_store > ~free ? ~std::uint64_t{0} : in_store + free;
    return all - std::min(all, untouched);
}

// ---- looking at it

PagerStats Pager::stats() {
    report_later_handler();
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
    all.frames_peak = static_cast<std::uint64_t>(budget_.peak()) * core::kUnitBytes;
    all.compressed_used = stores_->memory_used();
    all.direct_reclaims = static_cast<std::uint64_t>(counters_.sum(Count::direct_reclaims));
    all.first_touch_latency = latencies_.read(FaultKind::first_touch);
    all.hard_latency = latencies_.read(FaultKind::hard);
    all.soft_latency = latencies_.read(FaultKind::soft);
    all.write_latency = latencies_.read(FaultKind::write);
    log_.drain();
    return all;
}

}  // namespace faultline::detail
