#include "pager/pager.hpp"

#include "core/units.hpp"
#include "pager/evict/unseen_writes.hpp"
#include "pager/pager_setup.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/snapshot/forking.hpp"
#include "sys/error.hpp"
#include "sys/page_merging.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace faultline::pager {

Pager::Pager(const Config& config, std::unique_ptr<store::StoreFactory> stores, std::unique_ptr<mmu::Mappers> mappers)
    : Pager{PagerSetup{config, std::move(stores), std::move(mappers)}} {}

Pager::Pager(PagerSetup setup)
    : delivery_{setup.mappers ? std::nullopt : std::optional{setup.config.delivery}, setup.config.fork},
      view_registry_{RegionMap::readers()},
      mappers_{setup.mappers ? std::move(setup.mappers)
                             : delivery_.make_mappers(setup.config.eviction, view_registry_)},
      core_{setup.config, std::move(setup.stores), *mappers_, view_registry_},
      evictor_{core_},
      room_{core_, evictor_},
      cleaner_{core_},
      shared_frames_{core_},
      frame_limit_{core_},
      split_{core_, frame_limit_},
      reclaimer_{core_, evictor_, split_},
      buffers_{&core_.stores->records()},
      fills_{core_, reclaimer_, room_, shared_frames_, buffers_},
      read_ahead_{fills_},
      resolver_{fills_, read_ahead_},
      pins_{core_},
      limit_{core_, frame_limit_, split_, reclaimer_, pins_},
      discarder_{core_, room_},
      advice_{core_, evictor_, read_ahead_},
      view_mapper_{core_, evictor_, room_, discarder_, advice_},
      protector_{core_, evictor_, room_, view_mapper_},
      gaps_{core_, discarder_},
      mover_{fills_, discarder_},
      lifecycle_{core_, evictor_.finisher(), discarder_, limit_, view_mapper_},
      threads_{core_, delivery_, reclaimer_, read_ahead_},
      clones_{core_, evictor_.finisher(), cleaner_, shared_frames_, read_ahead_},
      fork_{core_, delivery_, threads_, evictor_.finisher(), cleaner_, read_ahead_} {
    core_.mappers.watch_staging(core_.staging.area().data(), core_.staging.area().size());
    watch_fence(delivery_.userfaultfd(), core_.staging.area(), false);
    sys::PageMerging::update();
    limit_.begin();
    start_trace();
    start_stack_recorder(core_);
    delivery_.start_signals(core_.config.delivery);
    threads_.start();
    for (const std::string& warning : setup.warnings) core_.log.say(LogLevel::warning, warning);
    core_.log.say(LogLevel::info, std::string("pager with ") + sys::readable_bytes(core_.config.resident_limit) +
                                      " resident, eviction by " + to_string(eviction()) + ", delivery " +
                                      to_string(delivery()) + ": " + setup.reason);
    Forking::watch();
    if (core_.config.fork == ForkPolicy::inherit) Forking::add(fork_);
}

Pager::~Pager() {
    if (core_.config.fork == ForkPolicy::inherit) Forking::remove(fork_);
    threads_.end();
    core_.log.flush();
}

void Pager::start_trace() {
    if (core_.config.trace_file.empty()) return;
    core_.fault_trace = std::make_unique<trace::FaultTrace>(
        core_.config.trace_file, [this](LogLevel level, std::string_view message) { core_.log.say(level, message); });
    core_.fault_trace->start();
}

Region& Pager::reserve(std::size_t bytes, std::size_t page_bytes, const RegionPlan& plan) {
    delivery_.report_later_handler(core_.log);
    return lifecycle_.reserve(*this, delivery_.userfaultfd(), bytes, page_bytes, plan);
}

void Pager::destroy(Region& region) { lifecycle_.destroy(region); }

void Pager::destroy_or_report(Region& region) noexcept {
    if (!core_.in_owner_process()) return;
    try {
        destroy(region);
    } catch (const std::exception& failure) {
        core_.log.say(LogLevel::error, std::string("a region cannot be freed and stays mapped: ") + failure.what());
    }
}

void Pager::forbid_merging() {
    core_.require_owner_process();
    const std::lock_guard lock{core_.control};
    static_cast<void>(sys::PageMerging::exclude(core_.staging.area().data(), core_.staging.area().size()));
    core_.regions.for_each([&](const Region& region) {
        const FaultPathSection section;
        UnseenWrites{core_.regions}.find_in(region, {0, region.pages()});
    });
}

std::uint64_t Pager::hard_faults() {
    const std::lock_guard lock{core_.control};
    std::uint64_t faults = core_.destroyed.hard_faults;
    core_.regions.for_each(
        [&](const Region& region) { faults += static_cast<std::uint64_t>(region.counters().sum(Count::hard_faults)); });
    return faults;
}

PagerStats Pager::stats() {
    delivery_.report_later_handler(core_.log);
    PagerStats all;
    {
        const std::lock_guard lock{core_.control};
        static_cast<RegionStats&>(all) = core_.destroyed;
        core_.regions.for_each([&](const Region& region) {
            static_cast<RegionStats&>(all) += region_stats(region.counters(), region.page_bytes());
        });
    }
    all.resident_limit = resident_limit();
    all.frames_peak = static_cast<std::uint64_t>(core_.budget.peak()) * core::kUnitBytes;
    const SplitKeeper::Figures memory = split_.at_rest();
    all.frames_used = memory.frames;
    all.compressed_used = split_.is_on() ? memory.compressed : core_.stores->memory_used();
    all.compressed_limit = memory.compressed_limit;
    all.records_used = memory.records;
    all.memory_limit = split_.memory();
    all.direct_reclaims = static_cast<std::uint64_t>(core_.counters.sum(Count::direct_reclaims));
    all.first_touch_latency = core_.latencies.read(FaultKind::first_touch);
    all.hard_latency = core_.latencies.read(FaultKind::hard);
    all.soft_latency = core_.latencies.read(FaultKind::soft);
    all.write_latency = core_.latencies.read(FaultKind::write);
    core_.log.drain();
    return all;
}

}  // namespace faultline::pager
