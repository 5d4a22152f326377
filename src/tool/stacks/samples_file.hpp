// Reads a file of stack samples (docs/record-format.md). It trusts no length and no number in it. It finds no
// functions: Unwinder does that.
#pragma once

#include "trace/stacks/process_maps.hpp"
#include "trace/stacks/stack_sample.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::tool {

/// A sample as the file has it; times are nanoseconds.
struct RecordedSample {
    std::uint64_t time = 0;
    std::uint32_t thread = 0;
    trace::SampledKind kind = trace::SampledKind::first_touch;
    bool write = false;
    bool asked = false;  ///< The library asked for the page, on behalf of a call of the program.
    std::uint64_t address = 0;
    std::uint64_t address_before = 0;  ///< 0: not known.
    std::uint64_t took = 0;
    std::uint64_t weight = 0;  ///< The lost time that the sample counts for, in nanoseconds.
    std::uint64_t step = 0;
    std::uint64_t evictions = 0;
    std::uint64_t touched_units = 0;
    std::uint64_t resident_units = 0;
    std::uint32_t evictions_ago = 0;
    trace::SampledRegisters registers{};
    std::span<const unsigned char> stack;  ///< From the stack pointer up; of RecordedSession::blocks.

    /// Returns the number of faults that the sample counts for.
    [[nodiscard]] double faults() const noexcept {
        return took == 0 || took >= step ? 1.0 : static_cast<double>(step) / static_cast<double>(took);
    }
};

/// One process from its start, exec or fork on.
struct RecordedSession {
    std::uint64_t id = 0;
    std::uint32_t pid = 0;
    std::uint32_t parent = 0;
    std::uint64_t started = 0;  ///< ns of the monotonic clock
    std::uint64_t memory_limit = 0;
    std::uint64_t resident_limit = 0;
    std::string executable;
    std::string command_line;
    std::vector<trace::MappedPart> maps;
    std::vector<RecordedSample> samples;
    std::vector<std::vector<unsigned char>> blocks;  ///< What `samples` points into.

    std::uint64_t last_time = 0;  ///< Of the sums.
    std::uint64_t taken = 0;      ///< Samples that were taken.
    std::uint64_t lost = 0;       ///< Samples that found no room.
    std::uint64_t evictions = 0;
    std::uint64_t touched_units = 0;  ///< By all first touches, a parent's before a fork included.
    std::array<std::uint64_t, trace::kSampledKinds> faults{};
    std::array<std::uint64_t, trace::kSampledKinds> nanoseconds{};
};

/// Why a file cannot be used: names the file and, where there is one, the byte.
class BadSamples : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Returns the sessions in the order of their starts. Throws BadSamples, or std::system_error if it cannot be read.
[[nodiscard]] std::vector<RecordedSession> read_samples_file(const std::string& path);

/// The same from memory. `name`: for messages.
[[nodiscard]] std::vector<RecordedSession> read_samples(std::span<const unsigned char> file, const std::string& name);

}  // namespace faultline::tool
