#include "run/program_status.hpp"

#include "core/stats_figures.hpp"

#include <algorithm>

namespace faultline::run {
namespace {

constexpr std::uint64_t kWhole = 255;

FaultLatency latency_of(const LatencyHistogram& histogram) noexcept {
    return {.count = histogram.count(),
            .median = histogram.quantile(0.5),
            .percentile_99 = histogram.quantile(0.99),
            .longest = histogram.quantile(1.0)};
}

std::uint8_t share(std::uint64_t bytes, std::uint64_t whole) noexcept {
    if (bytes == 0 || whole == 0) return 0;
    const double exact = static_cast<double>(bytes) / static_cast<double>(whole) * static_cast<double>(kWhole);
    return static_cast<std::uint8_t>(std::clamp(exact, 1.0, static_cast<double>(kWhole)));
}

}  // namespace

ProgramCounters& ProgramCounters::operator+=(const ProgramCounters& other) noexcept {
    core::add_figures(*this, other);
    return *this;
}

ProgramCounters ProgramCounters::since(const ProgramCounters& earlier) const noexcept {
    ProgramCounters change = *this;
    core::subtract_counters(change, earlier);
    return change;
}

void set_figures(ProgramStatus& status, const PagerStats& pager, const HeapStats& heap) noexcept {
    static_assert(core::CommonFigures<ProgramCounters, PagerStats>::kCount +
                      core::CommonFigures<ProgramCounters, HeapStats>::kCount ==
                  core::figures_of<ProgramCounters>().size());
    core::copy_common_figures(status.counters, pager);
    core::copy_common_figures(status.counters, heap);
    core::copy_all_figures<MemoryGauges>(status.gauges, pager);
    core::copy_all_figures<HeapGauges>(status.gauges, heap);
    status.first_touch = latency_of(pager.first_touch_latency);
    status.hard = latency_of(pager.hard_latency);
    status.soft = latency_of(pager.soft_latency);
    status.write = latency_of(pager.write_latency);
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
