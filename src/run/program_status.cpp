#include "run/program_status.hpp"

#include <algorithm>

namespace faultline::run {
namespace {

constexpr std::uint64_t kWhole = 255;

constexpr std::array kCounters{
    &ProgramCounters::first_touches,   &ProgramCounters::hard_faults,      &ProgramCounters::soft_faults,
    &ProgramCounters::write_faults,    &ProgramCounters::failed_faults,    &ProgramCounters::evictions,
    &ProgramCounters::clean_evictions, &ProgramCounters::pages_read_ahead, &ProgramCounters::bytes_read,
    &ProgramCounters::bytes_written,   &ProgramCounters::read_errors,      &ProgramCounters::write_errors,
    &ProgramCounters::direct_reclaims, &ProgramCounters::discarded_bytes,
};
static_assert(kCounters.size() * sizeof(std::uint64_t) == sizeof(ProgramCounters));

FaultLatency latency_of(const LatencyHistogram& histogram) noexcept {
    return {.count = histogram.count(),
            .median = histogram.quantile(0.5),
            .percentile_99 = histogram.quantile(0.99),
            .longest = histogram.quantile(1.0)};
}

LatencyHistogram difference(const LatencyHistogram& all, const LatencyHistogram& earlier) noexcept {
    LatencyHistogram later;
    for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
        const std::uint64_t counted = earlier.count_in(i);
        if (all.count_in(i) > counted) later.record(LatencyHistogram::lower_bound(i), all.count_in(i) - counted);
    }
    return later;
}

std::uint8_t share(std::uint64_t bytes, std::uint64_t whole) noexcept {
    if (bytes == 0 || whole == 0) return 0;
    const double exact = static_cast<double>(bytes) / static_cast<double>(whole) * static_cast<double>(kWhole);
    return static_cast<std::uint8_t>(std::clamp(exact, 1.0, static_cast<double>(kWhole)));
}

}  // namespace

ProgramCounters& ProgramCounters::operator+=(const ProgramCounters& other) noexcept {
    for (const auto figure : kCounters) this->*figure += other.*figure;
    return *this;
}

ProgramCounters ProgramCounters::since(const ProgramCounters& earlier) const noexcept {
    ProgramCounters change;
    for (const auto figure : kCounters) {
        change.*figure = this->*figure > earlier.*figure ? this->*figure - earlier.*figure : 0;
    }
    return change;
}

void set_figures(ProgramStatus& status, const PagerStats& pager, const HeapStats& heap) noexcept {
    status.counters = {.first_touches = pager.first_touches,
                       .hard_faults = pager.hard_faults,
                       .soft_faults = pager.soft_faults,
                       .write_faults = pager.write_faults,
                       .failed_faults = pager.failed_faults,
                       .evictions = pager.evictions,
                       .clean_evictions = pager.clean_evictions,
                       .pages_read_ahead = pager.pages_read_ahead,
                       .bytes_read = pager.bytes_read,
                       .bytes_written = pager.bytes_written,
                       .read_errors = pager.read_errors,
                       .write_errors = pager.write_errors,
                       .direct_reclaims = pager.direct_reclaims,
                       .discarded_bytes = heap.discarded_bytes};
    const std::uint64_t reservation = status.gauges.reservation;  // not known to the pager or the heap
    status.gauges = {.resident_limit = pager.resident_limit,
                     .frames_used = pager.frames_used,
                     .frames_peak = pager.frames_peak,
                     .resident_bytes = pager.resident_bytes,
                     .dirty_bytes = pager.dirty_bytes,
                     .staged_bytes = pager.staged_bytes,
                     .swapped_bytes = pager.swapped_bytes,
                     .compressed_used = pager.compressed_used,
                     .live_bytes = heap.live_bytes,
                     .live_blocks = heap.live_blocks,
                     .large_blocks = heap.large_blocks,
                     .large_bytes = heap.large_bytes,
                     .cached_bytes = heap.cached_bytes,
                     .free_in_spans = heap.free_in_spans,
                     .free_outside_spans = heap.free_outside_spans,
                     .dead_bytes = heap.dead_bytes,
                     .break_bytes = heap.break_bytes,
                     .mapping_bytes = heap.mapping_bytes,
                     .reservation = reservation};
    status.first_touch = latency_of(pager.first_touch_latency);
    status.hard = latency_of(pager.hard_latency);
    status.soft = latency_of(pager.soft_latency);
    status.write = latency_of(pager.write_latency);
}

void count_latencies_since(PagerStats& stats, const PagerStats& earlier) noexcept {
    for (const auto latency : {&PagerStats::first_touch_latency, &PagerStats::hard_latency, &PagerStats::soft_latency,
                               &PagerStats::write_latency}) {
        stats.*latency = difference(stats.*latency, earlier.*latency);
    }
}

void set_map(ProgramStatus& status, std::span<const ResidencyCell> cells) noexcept {
    status.map = {};
    status.map_used = 0;
    if (cells.empty()) return;
    for (const ResidencyCell& cell : cells) {
        status.map_used += cell.untouched + cell.resident + cell.staged + cell.swapped;
    }
    for (std::size_t i = 0; i < kMapCells; ++i) {
        const ResidencyCell& cell = cells[i * cells.size() / kMapCells];
        const std::uint64_t whole = cell.untouched + cell.resident + cell.staged + cell.swapped;
        status.map[i] = {.resident = share(cell.resident, whole),
                         .dirty = share(cell.dirty, whole),
                         .staged = share(cell.staged, whole),
                         .swapped = share(cell.swapped, whole)};
    }
}

std::array<ResidencyCell, kMapCells> map_cells(const ProgramStatus& status) noexcept {
    std::array<ResidencyCell, kMapCells> cells{};
    for (std::size_t i = 0; i < kMapCells; ++i) {
        const MapCell& cell = status.map[i];
        const std::uint64_t touched = std::uint64_t{cell.resident} + cell.staged + cell.swapped;
        cells[i] = {.untouched = touched < kWhole ? kWhole - touched : 0,
                    .resident = cell.resident,
                    .dirty = cell.dirty,
                    .staged = cell.staged,
                    .swapped = cell.swapped};
    }
    return cells;
}

}  // namespace faultline::run
