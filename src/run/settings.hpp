// Settings: what `faultline run` hands to the programs that it starts, by way of the environment: each with its
// variable, its range and its default. Reading them allocates nothing and throws nothing: it is done inside the first
// malloc of a program. It opens no pager; whoever reads them makes a Config of them.
#pragma once

#include <faultline/config.hpp>
#include <faultline/heap.hpp>
#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::run {

/// Sizes that a setting accepts, in bytes; `words` say it in a message.
struct SizeRange {
    std::size_t least = 0;
    std::size_t most = 0;
    std::string_view words;

    [[nodiscard]] constexpr bool contains(std::size_t bytes) const noexcept { return least <= bytes && bytes <= most; }
};

/// The texts are views: of the environment where they were read from it.
struct Settings {
    /// FAULTLINE_RESIDENT: most bytes of the heap in memory, for each process: `kResidentRange`.
    std::size_t resident_limit = Config{}.resident_limit;

    /// FAULTLINE_COMPRESSED: bytes of memory for compressed pages beside that, `kCompressedRange`; 0: none.
    std::size_t compressed_limit = 0;

    /// FAULTLINE_HEAP: bytes of addresses for the heap of one process, 1 MiB to 8 TiB: the most that it can hold.
    std::size_t heap_reservation = HeapConfig{}.reservation;

    /// FAULTLINE_SWAP: the directory of the swap file. Empty: $TMPDIR, else /var/tmp.
    std::string_view swap_directory{};

    /// FAULTLINE_DELIVERY: how faults arrive.
    Delivery delivery = Delivery::automatic;

    /// FAULTLINE_STATUS: the status file (status_layout.hpp) to leave figures in. Empty: none are wanted.
    std::string_view status_file{};

    static constexpr std::size_t kMostBytes = std::size_t{8} << 40;
    static constexpr SizeRange kResidentRange{std::size_t{64} << 10, kMostBytes, "64K to 8T"};
    static constexpr SizeRange kCompressedRange{0, kMostBytes, "0 to 8T"};
    static constexpr SizeRange kHeapRange{std::size_t{1} << 20, kMostBytes, "1M to 8T"};
};

/// A sentence that names the variable, its value and what it can be; cut where it is longer.
struct SettingsProblem {
    std::array<char, 400> text{};
};

/// Takes what `environment` (as `environ`: "NAME=value", ended by null) says into `settings`, leaves alone what it says
/// nothing about, or with an empty value. False: something is wrong, `problem` says what, and `settings` are not to be
/// used. Signal-safe.
[[nodiscard]] bool read_settings(const char* const* environment, Settings& settings, SettingsProblem& problem) noexcept;

/// What an environment must hold for `read_settings` to find `settings`: "NAME=value" each, those that differ from
/// their defaults and `FAULTLINE_RESIDENT`. May throw std::bad_alloc.
[[nodiscard]] std::vector<std::string> environment_for(const Settings& settings);

/// The value of the variable `name` in `environment` (as `environ`); empty where there is none. Signal-safe.
[[nodiscard]] std::string_view value_of(const char* const* environment, std::string_view name) noexcept;

/// Whether a variable of an environment ("NAME=value") is one of those above.
[[nodiscard]] bool is_setting(std::string_view variable) noexcept;

}  // namespace faultline::run
