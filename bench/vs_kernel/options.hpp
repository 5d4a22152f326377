// What the command line asks for, as a value. Every option has its default here and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <faultline/types.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "vs_kernel/mode.hpp"

namespace bench {

/// What a run takes through a series of values.
enum class Sweep : std::uint8_t { none, resident, threads };

struct Options {
    std::size_t size = std::size_t{1} << 30;        ///< Bytes of the region.
    std::size_t resident = std::size_t{256} << 20;  ///< Bytes of it that may be in memory.
    std::vector<Mode> modes{kModes.begin(), kModes.end()};
    std::vector<std::string> peers;  ///< Empty: faultline alone.
    double seconds = 5.0;            ///< Of one round.
    double warm_up = 1.0;            ///< Seconds before a mode's first round, not counted.
    unsigned rounds = 3;
    unsigned threads = 1;
    Sweep sweep = Sweep::none;        ///< The point's own values replace `resident` or `threads`.
    std::size_t named_at_once = 256;  ///< Pages of a batch in mode n; `named_at_once` below limits it.
    std::filesystem::path swap_directory{
        "/var/tmp"};               ///< Directory of the swap files of both systems and of the mmap peer's file.
    std::filesystem::path json{};  ///< Path of a JSON file; empty: none.

    // For faultline only.
    faultline::Delivery delivery = faultline::Delivery::uffd_signal;
    faultline::Replacement replacement = faultline::Replacement::second_chance;
    faultline::Eviction eviction = faultline::Eviction::automatic;
    std::size_t page_size = faultline::kBasePageBytes;
    bool read_ahead = true;
    bool background_evictor = true;
    std::size_t compressed = 0;  ///< Bytes for compressed pages, in addition to `resident`; 0: the file only.

    bool same_total = false;  ///< Kernel peers may have `compressed` bytes more resident.

    [[nodiscard]] std::size_t resident_of_peers() const noexcept { return resident + (same_total ? compressed : 0); }
};

/// The name in options and JSON.
constexpr const char* name(Sweep sweep) noexcept {
    return sweep == Sweep::resident ? "resident" : sweep == Sweep::threads ? "threads" : "none";
}

/// Returns how many pages each thread announces at once: fewer than asked for if the announced pages of all threads
/// would be more than about a third of the resident pages. At least 1.
std::size_t named_at_once(const Options& options) noexcept;

/// One program of this family, for its command line.
struct Program {
    const char* name;
    const char* description;
    std::vector<std::string> peers;  ///< The peers it has; the default is all of them.
};

/// Parses the command line. Prints help or an error and ends the process if the line asks for it or is wrong.
Options parse_options(const Program& program, int argc, char** argv);

}  // namespace bench
