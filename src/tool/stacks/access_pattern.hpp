// AccessPattern: how a place of a program goes through its memory, and what would make its faults cheaper. It is judged
// from the samples of the place alone: from the distance between two faults of one instruction, and from the number of
// pages that were evicted between a page's eviction and its return.
#pragma once

#include "tool/stacks/stack_analysis.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace faultline::tool {

struct AccessPattern {
    /// `by_calls`: the kernel or the library touched the pages, in calls of the place.
    enum class Order : std::uint8_t { unknown, sequential, backward, random, mixed, by_calls };
    enum class Reuse : std::uint8_t {
        unknown,
        all_fits,      ///< Nothing was evicted.
        touched_once,  ///< The pages were evicted and never came back.
        comes_back,    ///< The pages were read again.
    };
    Order order = Order::unknown;
    Reuse reuse = Reuse::unknown;
    std::uint64_t bytes_more = 0;  ///< That would have kept nine of ten pages from being read again; 0: not known.
};

/// Judges places of one analysis, which must outlive this.
class PatternJudge {
public:
    explicit PatternJudge(const StackAnalysis& analysis);
    [[nodiscard]] AccessPattern judge(const HotPlace& place) const;

    /// Returns how many more bytes would have avoided `part` of the hard faults of the samples; 0: not known.
    [[nodiscard]] std::uint64_t bytes_more(const std::vector<std::size_t>& samples, double part) const;

private:
    [[nodiscard]] AccessPattern::Order order_of(const HotPlace& place) const;
    [[nodiscard]] AccessPattern::Reuse reuse_of(const HotPlace& place) const;

    struct Neighbourhood {  // of 1 MiB
        std::uint64_t session;
        std::uint64_t number;
        double touched;    // first touches
        double came_back;  // hard and soft faults
    };
    [[nodiscard]] const Neighbourhood* neighbourhood_of(const AnalysedSample& sample) const;

    const StackAnalysis& analysis_;
    std::vector<Neighbourhood> neighbourhoods_;  // sorted
};

/// "sequential", "random, comes back": for people and for JSON.
[[nodiscard]] std::string words_of(const AccessPattern& pattern);

/// Returns a sentence or two on what to change; empty if nothing is known to help. `limit`: the option, with its bytes.
[[nodiscard]] std::string advice_for(const HotPlace& place, const AccessPattern& pattern,
                                     const RecordedSession& session);

/// Returns "--memory 192M", or "--resident 192M" if that was the limit, for that limit with `more` bytes.
[[nodiscard]] std::string larger_limit(const RecordedSession& session, std::uint64_t more);

}  // namespace faultline::tool
