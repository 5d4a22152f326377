#include "tool/stacks/access_pattern.hpp"

#include "core/units.hpp"
#include "display/format.hpp"

#include <algorithm>
#include <utility>

namespace faultline::tool {
namespace {

using Kind = trace::SampledKind;
using Order = AccessPattern::Order;
using Reuse = AccessPattern::Reuse;

// Read-ahead brings up to 1 MiB in with one fault, so a walk's faults may be that far apart, and more where another
// thread or an older page was there already.
constexpr std::int64_t kNear = std::int64_t{4} << 20;
constexpr double kMostOfThem = 0.7;
constexpr double kHardlyAny = 0.05;
constexpr unsigned kNeighbourhoodShift = 20;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::pair<std::uint64_t, std::uint64_t> key_of(const AnalysedSample& sample) {
    return {sample.session->id, sample.sample->address >> kNeighbourhoodShift};
}

std::uint64_t limit_of(const RecordedSession& session) noexcept {
    return session.memory_limit != 0 ? session.memory_limit : session.resident_limit;
}

/// Returns true if as many pages were evicted after the sample as fit the memory, so its page probably was, too.
bool has_left(const AnalysedSample& sample) {
    const std::uint64_t later =
        sample.session->evictions - std::min(sample.session->evictions, sample.sample->evictions);
    return later > 0 && later >= limit_of(*sample.session) / core::kUnitBytes;
}

/// Returns how many more pages of memory would have kept the page of a hard fault. A page that came back after the
/// eviction of N others would have stayed in a memory that is N pages larger; and no page leaves a memory that is
/// larger by all that is absent. Pages that are read ahead in vain make N too large.
std::uint32_t pages_more(const RecordedSample& sample) {
    const std::uint64_t absent = sample.touched_units - std::min(sample.touched_units, sample.resident_units);
    if (absent == 0) return sample.evictions_ago;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(sample.evictions_ago, absent));
}

}  // namespace

PatternJudge::PatternJudge(const StackAnalysis& analysis) : analysis_{analysis} {
    std::vector<const AnalysedSample*> sorted;
    for (const AnalysedSample& sample : analysis.samples) sorted.push_back(&sample);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return key_of(*a) < key_of(*b); });
    for (const AnalysedSample* const sample : sorted) {
        const auto [session, number] = key_of(*sample);
        if (neighbourhoods_.empty() || neighbourhoods_.back().session != session ||
            neighbourhoods_.back().number != number) {
            neighbourhoods_.push_back({session, number, 0, 0});
        }
        const Kind kind = sample->sample->kind;
        if (kind == Kind::first_touch) neighbourhoods_.back().touched += sample->faults;
        if (kind == Kind::hard || kind == Kind::soft) neighbourhoods_.back().came_back += sample->faults;
    }
}

const PatternJudge::Neighbourhood* PatternJudge::neighbourhood_of(const AnalysedSample& sample) const {
    const auto key = key_of(sample);
    const auto at =
        std::lower_bound(neighbourhoods_.begin(), neighbourhoods_.end(), key, [](const auto& n, const auto& k) {
            return std::pair{n.session, n.number} < k;
        });
    return at == neighbourhoods_.end() ? nullptr : &*at;
}

AccessPattern PatternJudge::judge(const HotPlace& place) const {
    return {order_of(place), reuse_of(place), bytes_more(place.samples, 0.9)};
}

Order PatternJudge::order_of(const HotPlace& place) const {
    double forward = 0;
    double backward = 0;
    double far = 0;
    double by_calls = 0;
    for (const std::size_t i : place.samples) {
        const AnalysedSample& sample = analysis_.samples[i];
        if (sample.sample->asked) by_calls += sample.faults;
        if (sample.sample->address_before == 0) continue;
        const auto step = static_cast<std::int64_t>(sample.sample->address - sample.sample->address_before);
        if (step < -kNear || step > kNear) {
            far += sample.faults;
        } else {
            (step >= 0 ? forward : backward) += sample.faults;
        }
    }
    const double all = forward + backward + far;
    if (by_calls > all) return Order::by_calls;
    if (all == 0) return Order::unknown;
    if (forward >= kMostOfThem * all) return Order::sequential;
    if (backward >= kMostOfThem * all) return Order::backward;
    // Random within less than kNear goes both ways alike.
    const bool both_ways = std::min(forward, backward) >= 0.3 * (forward + backward);
    return far >= 0.5 * all || both_ways ? Order::random : Order::mixed;
}

Reuse PatternJudge::reuse_of(const HotPlace& place) const {
    double touched = 0;
    double left = 0;
    double neighbours_touched = 0;
    double neighbours_back = 0;
    const Neighbourhood* last = nullptr;
    std::vector<const Neighbourhood*> seen;
    for (const std::size_t i : place.samples) {
        const AnalysedSample& sample = analysis_.samples[i];
        if (sample.sample->kind != Kind::first_touch) continue;
        touched += sample.faults;
        if (has_left(sample)) left += sample.faults;
        if (const Neighbourhood* const here = neighbourhood_of(sample); here != last) seen.push_back(last = here);
    }
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const Neighbourhood* const here : seen) {
        neighbours_touched += here->touched;
        neighbours_back += here->came_back;
    }
    const double back = place.of(Kind::hard) + place.of(Kind::soft);
    if (back > kHardlyAny * place.all_faults()) return Reuse::comes_back;
    if (touched < kMostOfThem * place.all_faults()) return Reuse::unknown;
    if (analysis_.evictions == 0) return Reuse::all_fits;
    if (left < 0.5 * touched) return Reuse::unknown;
    return neighbours_back <= kHardlyAny * neighbours_touched ? Reuse::touched_once : Reuse::comes_back;
}

std::uint64_t PatternJudge::bytes_more(const std::vector<std::size_t>& samples, double part) const {
    std::vector<std::pair<std::uint32_t, double>> distances;
    double all = 0;
    for (const std::size_t i : samples) {
        const AnalysedSample& sample = analysis_.samples[i];
        if (sample.sample->kind != Kind::hard) continue;
        distances.emplace_back(pages_more(*sample.sample), sample.faults);
        all += sample.faults;
    }
    std::sort(distances.begin(), distances.end());
    double below = 0;
    for (const auto& [distance, faults] : distances) {
        below += faults;
        if (below < part * all) continue;
        return distance == trace::kUnknownDistance ? 0 : (std::uint64_t{distance} + 1) * core::kUnitBytes;
    }
    return 0;
}

std::string words_of(const AccessPattern& pattern) {
    constexpr std::array<const char*, 6> kOrders{"", "sequential", "backward", "random", "mixed order", "system calls"};
    constexpr std::array<const char*, 4> kReuses{"", "first touches", "touched once", "comes back"};
    std::string words = kOrders[static_cast<std::size_t>(pattern.order)];
    const std::string reuse = kReuses[static_cast<std::size_t>(pattern.reuse)];
    if (!words.empty() && !reuse.empty()) words += ", ";
    words += reuse;
    return words.empty() ? "not known" : words;
}

std::string larger_limit(const RecordedSession& session, std::uint64_t more) {
    const std::uint64_t bytes = core::align_up(limit_of(session) + more, kMiB);
    return display::printed("%s %lluM", session.memory_limit != 0 ? "--memory" : "--resident",
                            static_cast<unsigned long long>(bytes / kMiB));
}

std::string advice_for(const HotPlace& place, const AccessPattern& pattern, const RecordedSession& session) {
    const double hard = place.of(Kind::hard);
    const bool reads = hard > kHardlyAny * place.all_faults();
    if (pattern.reuse == Reuse::touched_once) {
        return "Pages are written once, leave, and never come back: free them, or madvise(MADV_COLD) them after use, "
               "so "
               "that others stay.";
    }
    if (!reads) {
        if (place.of(Kind::wait) > 0.5 * place.all_faults()) return "Waits for pages that another thread reads.";
        if (place.of(Kind::write) > 0.5 * place.all_faults()) return "First writes to pages that were read before.";
        return pattern.reuse == Reuse::all_fits ? "New memory, all of it fits: reuse buffers to touch less of it." : "";
    }
    std::string advice;
    if (pattern.order == Order::sequential || pattern.order == Order::backward) {
        advice = "madvise(MADV_SEQUENTIAL) reads ahead from the first fault on. ";
    } else if (pattern.order == Order::random) {
        advice = "madvise(MADV_RANDOM) reads the page alone, without neighbours. ";
    }
    if (pattern.bytes_more == 0) return advice + "Its pages come back too late for more memory to help.";
    return advice + display::printed("Would fit with %s more: %s avoids 9 of 10 hard faults.",
                                     display::format_bytes(pattern.bytes_more).c_str(),
                                     larger_limit(session, pattern.bytes_more).c_str());
}

}  // namespace faultline::tool
