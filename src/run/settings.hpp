// Settings: what `faultline run` passes to programs through environment variables, each with its range and default.
// Written by the command, read by the preload and by the doctor. Reading allocates nothing and throws nothing, because
// it happens inside a program's first malloc. The reader makes a Config from the settings and opens the pager.
#pragma once

#include <faultline/config.hpp>
#include <faultline/heap.hpp>
#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::run {

/// The sizes that a setting accepts, in bytes; `words` are the range in a message.
struct SizeRange {
    std::size_t least = 0;
    std::size_t most = 0;
    std::string_view words;

    [[nodiscard]] constexpr bool contains(std::size_t bytes) const noexcept { return least <= bytes && bytes <= most; }
};

/// The texts are views, of the environment if they were read from it.
struct Settings {
    /// FAULTLINE_MEMORY: limit in bytes of the memory of all processes of the tree together, `kMemoryRange`; 0: none.
    /// Without a status file, which the processes share, it holds for each process. With it, or with the next one, the
    /// two limits after them do not hold.
    std::size_t memory_limit = 0;

    /// FAULTLINE_MEMORY_PER_PROCESS: the same limit for each process by itself.
    std::size_t memory_per_process = 0;

    /// FAULTLINE_RESIDENT: maximum heap memory kept in RAM, in bytes, per process: `kResidentRange`.
    std::size_t resident_limit = Config{}.resident_limit;

    /// FAULTLINE_COMPRESSED: memory for compressed pages in addition, in bytes, `kCompressedRange`; 0: none.
    std::size_t compressed_limit = 0;

    /// FAULTLINE_HEAP: addresses reserved for the heap of one process, in bytes, 1 MiB to 8 TiB; limits its total size.
    std::size_t heap_reservation = HeapOptions{}.reservation;

    /// FAULTLINE_MAPPINGS: whether the anonymous memory that the program maps is managed, too: "on" or "off". Empty: if
    /// there is a limit of all memory.
    std::optional<bool> mappings{};

    /// FAULTLINE_SWAP: the directory of the swap file. Empty: $TMPDIR, else /var/tmp.
    std::string_view swap_directory{};

    /// FAULTLINE_DELIVERY: how faults arrive.
    Delivery delivery = Delivery::automatic;

    /// FAULTLINE_STATUS: path of the status file (status_layout.hpp). Internal; set by `faultline run`. Empty: no
    /// figures.
    std::string_view status_file{};

    /// FAULTLINE_RECORD: absolute path of the file to which processes append samples of the stacks that fault
    /// (Config::stack_samples_file). Empty: none.
    std::string_view record_file{};

    /// FAULTLINE_RECORD_RATE: samples for each second that faults take, `kRecordRateRange`.
    std::size_t record_rate = Config{}.stack_samples_rate;

    /// FAULTLINE_RECORD_STACK: bytes of stack in a sample, `kRecordStackRange`.
    std::size_t record_stack = Config{}.stack_sample_bytes;

    [[nodiscard]] bool manages_mappings() const noexcept { return mappings.value_or(memory() != 0); }

    /// Returns the limit of all memory, shared or not; 0: none.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_limit != 0 ? memory_limit : memory_per_process; }

    static constexpr std::size_t kMostBytes = std::size_t{8} << 40;
    static constexpr SizeRange kMemoryRange{std::size_t{4} << 20, kMostBytes, "4M to 8T"};
    static constexpr SizeRange kResidentRange{std::size_t{64} << 10, kMostBytes, "64K to 8T"};
    static constexpr SizeRange kCompressedRange{0, kMostBytes, "0 to 8T"};
    static constexpr SizeRange kRecordRateRange{1, 1'000'000, "1 to 1000000"};
    static constexpr SizeRange kRecordStackRange{0, std::size_t{16} << 10, "0 to 16K"};
    static constexpr SizeRange kHeapRange{std::size_t{1} << 20, kMostBytes, "1M to 8T"};
};

/// A sentence that names the variable, its value and the accepted values; cut if it is longer.
struct SettingsProblem {
    std::array<char, 400> text{};
};

/// Reads settings from `environment` (like `environ`: "NAME=value", ended by null). Variables that are missing or empty
/// leave their member unchanged. Returns false if a value is invalid: `problem` says what, and `settings` must not be
/// used. Signal-safe.
[[nodiscard]] bool read_settings(const char* const* environment, Settings& settings, SettingsProblem& problem) noexcept;

/// Returns the variables from which `read_settings` restores `settings`: "NAME=value" for each that differs from its
/// default, and `FAULTLINE_RESIDENT` unless there is a limit of all memory. May throw std::bad_alloc.
[[nodiscard]] std::vector<std::string> environment_for(const Settings& settings);

/// Returns the value of the variable `name` in `environment` (like `environ`); empty if it is not set. Signal-safe.
[[nodiscard]] std::string_view value_of(const char* const* environment, std::string_view name) noexcept;

/// Returns true if `variable` ("NAME=value") sets one of the variables above.
[[nodiscard]] bool is_setting(std::string_view variable) noexcept;

}  // namespace faultline::run
