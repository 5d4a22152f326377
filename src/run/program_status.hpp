// ProgramStatus: what a program under `faultline run` reports about itself, as a value: its identity, counters, current
// state, fault latencies, and a map of its heap.
// Consists of 64-bit words and bytes only, because it goes through memory that processes share (status_layout.hpp).
#pragma once

#include "core/figures.hpp"
#include "run/process_identity.hpp"
#include "run/process_memory.hpp"

#include <faultline/heap.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace faultline::run {

/// Counts since the program started (a child of fork: since the fork). Counts of several programs can be added.
struct ProgramCounters {
    std::uint64_t first_touches = 0;
    std::uint64_t hard_faults = 0;
    std::uint64_t soft_faults = 0;
    std::uint64_t write_faults = 0;
    std::uint64_t failed_faults = 0;
    std::uint64_t evictions = 0;
    std::uint64_t clean_evictions = 0;
    std::uint64_t pages_read_ahead = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t read_errors = 0;
    std::uint64_t write_errors = 0;
    std::uint64_t direct_reclaims = 0;
    std::uint64_t discarded_bytes = 0;  ///< Pages without a live block, dropped without being written.

    [[nodiscard]] std::uint64_t faults() const noexcept {
        return first_touches + hard_faults + soft_faults + write_faults;
    }

    /// Adds or subtracts member by member; a difference that would be negative is 0.
    ProgramCounters& operator+=(const ProgramCounters& other) noexcept;
    [[nodiscard]] ProgramCounters since(const ProgramCounters& earlier) const noexcept;

    bool operator==(const ProgramCounters&) const = default;
};

/// The current state of the pager's memory, in bytes.
struct MemoryGauges {
    std::uint64_t resident_limit = 0;
    std::uint64_t frames_used = 0;
    std::uint64_t frames_peak = 0;
    std::uint64_t resident_bytes = 0;
    std::uint64_t dirty_bytes = 0;
    std::uint64_t staged_bytes = 0;
    std::uint64_t swapped_bytes = 0;
    std::uint64_t compressed_used = 0;
    std::uint64_t compressed_limit = 0;
    std::uint64_t records_used = 0;
    std::uint64_t memory_limit = 0;

    bool operator==(const MemoryGauges&) const = default;
};

/// The current state of the heap; in bytes unless the name says otherwise.
struct HeapGauges {
    std::uint64_t live_bytes = 0;
    std::uint64_t live_blocks = 0;
    std::uint64_t large_blocks = 0;
    std::uint64_t large_bytes = 0;
    std::uint64_t cached_bytes = 0;
    std::uint64_t free_in_spans = 0;
    std::uint64_t free_outside_spans = 0;
    std::uint64_t dead_bytes = 0;
    std::uint64_t break_bytes = 0;
    std::uint64_t mapping_bytes = 0;

    bool operator==(const HeapGauges&) const = default;
};

struct ProgramGauges : MemoryGauges, HeapGauges {
    std::uint64_t reservation = 0;  ///< Bytes of addresses that the heap may use.

    bool operator==(const ProgramGauges&) const = default;
};

/// Latencies of one kind of fault, in nanoseconds.
struct FaultLatency {
    std::uint64_t count = 0;
    std::uint64_t median = 0;
    std::uint64_t percentile_99 = 0;
    std::uint64_t longest = 0;

    bool operator==(const FaultLatency&) const = default;
};

/// A part of the heap's used addresses: the share in each state, in units of 1/255. A share above 0 is never rounded to
/// 0.
struct MapCell {
    std::uint8_t resident = 0;
    std::uint8_t dirty = 0;  ///< The dirty share of the resident bytes.
    std::uint8_t staged = 0;
    std::uint8_t swapped = 0;

    bool operator==(const MapCell&) const = default;
};

inline constexpr std::size_t kMapCells = 256;

struct ProgramStatus {
    ProcessIdentity process;
    std::uint64_t claim = 0;         ///< Number of its claim of a slot: 1, 2, ... in the order of starts.
    std::uint64_t started_at = 0;    ///< When the program claimed its slot,
    std::uint64_t published_at = 0;  ///< and when it wrote this record: nanoseconds of CLOCK_MONOTONIC.
    std::uint64_t ended = 0;         ///< 1: the program has announced that this is its last record.
    std::uint64_t complete = 0;      ///< 1: written just before an end or an exec, so that no later figures exist.
    std::uint64_t delivery = 0;      ///< A `Delivery`.
    std::uint64_t eviction = 0;      ///< An `Eviction`.

    ProgramCounters counters;
    ProgramGauges gauges;
    MemoryPeaks memory;  ///< Of the whole process, managed memory included.
    FaultLatency first_touch;
    FaultLatency hard;
    FaultLatency soft;
    FaultLatency write;

    std::uint64_t map_used = 0;            ///< Bytes of addresses that the map covers; 0: no map.
    std::array<MapCell, kMapCells> map{};  ///< In ascending address order.

    /// Returns true if the program has written figures; its first record has none.
    [[nodiscard]] bool has_figures() const noexcept { return gauges.resident_limit > 0; }
};
static_assert(std::is_trivially_copyable_v<ProgramStatus> && sizeof(ProgramStatus) % sizeof(std::uint64_t) == 0);

/// Copies the counters, gauges and latencies of a pager and its heap to `status`. Allocates nothing. Signal-safe.
void set_figures(ProgramStatus& status, const PagerStats& pager, const HeapStats& heap) noexcept;

/// Stores a map in `status`. `cells`: at most `kMapCells`, which are stretched to that number. Signal-safe.
void set_map(ProgramStatus& status, std::span<const ResidencyCell> cells) noexcept;

/// Returns the map as `kMapCells` cells of 255 bytes each, for drawing.
[[nodiscard]] std::array<ResidencyCell, kMapCells> map_cells(const ProgramStatus& status) noexcept;

}  // namespace faultline::run

namespace faultline::core {

template <>
struct Figures<run::ProgramCounters> {
    static constexpr std::array table{
        FAULTLINE_COUNTER(run::ProgramCounters, first_touches),
        FAULTLINE_COUNTER(run::ProgramCounters, hard_faults),
        FAULTLINE_COUNTER(run::ProgramCounters, soft_faults),
        FAULTLINE_COUNTER(run::ProgramCounters, write_faults),
        FAULTLINE_COUNTER(run::ProgramCounters, failed_faults),
        FAULTLINE_COUNTER(run::ProgramCounters, evictions),
        FAULTLINE_COUNTER(run::ProgramCounters, clean_evictions),
        FAULTLINE_COUNTER(run::ProgramCounters, pages_read_ahead),
        FAULTLINE_COUNTER(run::ProgramCounters, bytes_read),
        FAULTLINE_COUNTER(run::ProgramCounters, bytes_written),
        FAULTLINE_COUNTER(run::ProgramCounters, read_errors),
        FAULTLINE_COUNTER(run::ProgramCounters, write_errors),
        FAULTLINE_COUNTER(run::ProgramCounters, direct_reclaims),
        FAULTLINE_COUNTER(run::ProgramCounters, discarded_bytes),
    };
};
FAULTLINE_CHECK_FIGURES(run::ProgramCounters, 0);

template <>
struct Figures<run::MemoryGauges> {
    static constexpr std::array table{
        FAULTLINE_GAUGE(run::MemoryGauges, resident_limit),   FAULTLINE_GAUGE(run::MemoryGauges, frames_used),
        FAULTLINE_GAUGE(run::MemoryGauges, frames_peak),      FAULTLINE_GAUGE(run::MemoryGauges, resident_bytes),
        FAULTLINE_GAUGE(run::MemoryGauges, dirty_bytes),      FAULTLINE_GAUGE(run::MemoryGauges, staged_bytes),
        FAULTLINE_GAUGE(run::MemoryGauges, swapped_bytes),    FAULTLINE_GAUGE(run::MemoryGauges, compressed_used),
        FAULTLINE_GAUGE(run::MemoryGauges, compressed_limit), FAULTLINE_GAUGE(run::MemoryGauges, records_used),
        FAULTLINE_GAUGE(run::MemoryGauges, memory_limit),
    };
};
FAULTLINE_CHECK_FIGURES(run::MemoryGauges, 0);

template <>
struct Figures<run::HeapGauges> {
    static constexpr std::array table{
        FAULTLINE_GAUGE(run::HeapGauges, live_bytes),         FAULTLINE_GAUGE(run::HeapGauges, live_blocks),
        FAULTLINE_GAUGE(run::HeapGauges, large_blocks),       FAULTLINE_GAUGE(run::HeapGauges, large_bytes),
        FAULTLINE_GAUGE(run::HeapGauges, cached_bytes),       FAULTLINE_GAUGE(run::HeapGauges, free_in_spans),
        FAULTLINE_GAUGE(run::HeapGauges, free_outside_spans), FAULTLINE_GAUGE(run::HeapGauges, dead_bytes),
        FAULTLINE_GAUGE(run::HeapGauges, break_bytes),        FAULTLINE_GAUGE(run::HeapGauges, mapping_bytes),
    };
};
FAULTLINE_CHECK_FIGURES(run::HeapGauges, 0);

}  // namespace faultline::core
