// StackAnalysis: what the samples of all sessions say together: how many faults and how much time each place of the
// program cost. The estimates of a session are scaled so that they add up to its exact sums. AccessPattern judges a
// place; the report, the flame graph and the trace events print what is here.
#pragma once

#include "tool/stacks/code_place.hpp"
#include "tool/stacks/samples_file.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace faultline::tool {

/// A sample with its calls, and the faults and the time that it counts for.
struct AnalysedSample {
    const RecordedSession* session = nullptr;
    const RecordedSample* sample = nullptr;
    CallStack stack;      ///< Innermost first, without calls inside faultline.
    std::size_t own = 0;  ///< The index of the innermost place that is the program's own, and not of a system library.
    double faults = 0;
    double lost = 0;  ///< ns
};

using ByKind = std::array<double, trace::kSampledKinds>;

/// A function at a line, with what its faults cost. A function without lines is one place.
struct HotPlace {
    PlaceId place = 0;
    PlaceId inner = 0;  ///< The place that faulted most often for it: `place` itself, or in a library that it called.
    ByKind faults{};
    ByKind lost{};  ///< ns
    std::vector<std::size_t> samples;

    [[nodiscard]] double all_faults() const noexcept;
    [[nodiscard]] double all_lost() const noexcept;
    [[nodiscard]] double of(trace::SampledKind kind) const noexcept { return faults[static_cast<std::size_t>(kind)]; }
};

struct StackAnalysis {
    explicit StackAnalysis(const std::vector<RecordedSession>& sessions);

    CodePlaces places;
    std::vector<AnalysedSample> samples;
    std::vector<HotPlace> hot;  ///< By the time that they lost, the most first.
    ByKind faults{};            ///< Exact sums over all sessions.
    ByKind lost{};              ///< ns
    std::uint64_t samples_lost = 0;
    std::uint64_t evictions = 0;
    double wall = 0;  ///< ns from the first start to the last sums.
    std::vector<std::string> changed_files;

    [[nodiscard]] double all_faults() const noexcept;
    [[nodiscard]] double all_lost() const noexcept;

private:
    void add(const RecordedSession& session);
    void find_hot_places();
};

}  // namespace faultline::tool
