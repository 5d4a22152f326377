#include "pager/core.hpp"

#include "pager/region/region_map.hpp"
#include "policy/built_in_policies.hpp"
#include "sys/clock.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace faultline::pager {
namespace {

/// At most one page a frame, with room for frames that change hands.
std::size_t frame_capacity(const Config& config) noexcept {
    constexpr std::size_t kInTransit = 65536;
    const std::size_t bytes = std::max(config.resident_limit, sys::physical_memory());
    return std::min<std::size_t>(bytes / core::kUnitBytes + kInTransit, 0xffff'fff0U);
}

}  // namespace

PagerCore::PagerCore(const Config& wanted, std::unique_ptr<store::StoreFactory> factory, mmu::Mappers& mmu_mappers,
                     mmu::ViewRegistry& view_registry)
    : config{wanted},
      generation{sys::process_generation()},
      log{config.log},
      stores{std::move(factory)},
      mappers{mmu_mappers},
      views{view_registry},
      budget{0, config.memory_limit != 0 ? &stores->records() : nullptr, &limit.pinned_units},
      frames{{frame_capacity(config), config.resident_limit / core::kUnitBytes, config.staging_percent},
             config.policy ? config.policy : policy::factory_of(config.replacement)},
      staging{config.resident_limit / core::kUnitBytes},
      departures{frames.capacity()},
      thrash{sys::monotonic_time()},
      zeros{sys::Mapping::reserve(kLargestPageBytes, core::kUnitBytes, true, "zeros")} {}

bool PagerCore::in_owner_process() const noexcept { return generation == sys::process_generation(); }

void PagerCore::require_owner_process() const {
    if (in_owner_process()) return;
    sys::throw_error(EPERM, "this pager belongs to the parent process: a child of fork cannot use it; make a new one");
}

void start_stack_recorder(PagerCore& core, std::uint64_t touched_units) {
    const Config& config = core.config;
    if (config.stack_samples_file.empty()) return;
    core.stack_recorder = std::make_unique<trace::StackRecorder>(
        trace::StackRecording{config.stack_samples_file,
                              config.stack_samples_rate,
                              config.stack_sample_bytes,
                              touched_units,
                              {config.memory_limit, config.resident_limit}},
        [&core](LogLevel level, std::string_view message) { core.log.say(level, message); });
    core.stack_recorder->start();
}

PagePlace PagerCore::place_of(Region& region, std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const mmu::SharedViews* const list = views.views();
    const mmu::SharedView* const view = list == nullptr ? nullptr : list->at(address);
    if (view == nullptr) return {region, region.page_of(address)};
    Region& shared = *RegionMap::find(view->source);
    return {shared, shared.page_of(view->source_of(address)), &region, region.page_of(address)};
}

}  // namespace faultline::pager
