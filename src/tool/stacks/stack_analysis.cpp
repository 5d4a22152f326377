#include "tool/stacks/stack_analysis.hpp"

#include "tool/stacks/unwinder.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace faultline::tool {
namespace {

double sum(const ByKind& values) noexcept { return std::accumulate(values.begin(), values.end(), 0.0); }

std::size_t index_of(trace::SampledKind kind) noexcept { return static_cast<std::size_t>(kind); }

/// Drops the innermost calls inside faultline's library, but for a function of the C library that it replaces: the
/// program has called that one.
void drop_library_calls(CallStack& stack, const CodePlaces& places) {
    auto first = std::find_if(stack.begin(), stack.end(), [&](PlaceId id) { return !places[id].of_faultline(); });
    if (first == stack.end()) return;
    if (first != stack.begin() && places[*std::prev(first)].of_interposed()) --first;
    stack.erase(stack.begin(), first);
}

std::size_t own_place_in(const CallStack& stack, const CodePlaces& places) {
    const auto own = std::find_if(stack.begin(), stack.end(), [&](PlaceId id) { return !places[id].of_system(); });
    return own == stack.end() ? 0 : static_cast<std::size_t>(own - stack.begin());
}

/// The factors by which a session's samples of a kind are to be multiplied.
struct Scale {
    ByKind faults{};
    ByKind lost{};

    explicit Scale(const RecordedSession& session) {
        for (const RecordedSample& sample : session.samples) {
            faults[index_of(sample.kind)] += sample.faults();
            lost[index_of(sample.kind)] += static_cast<double>(sample.weight);
        }
        for (std::size_t kind = 0; kind < trace::kSampledKinds; ++kind) {
            faults[kind] = factor(session.faults[kind], faults[kind]);
            lost[kind] = factor(session.nanoseconds[kind], lost[kind]);
        }
    }

private:
    static double factor(std::uint64_t exact, double estimate) noexcept {
        return estimate > 0 && exact > 0 ? static_cast<double>(exact) / estimate : 1.0;
    }
};

}  // namespace

double HotPlace::all_faults() const noexcept { return sum(faults); }
double HotPlace::all_lost() const noexcept { return sum(lost); }
double StackAnalysis::all_faults() const noexcept { return sum(faults); }
double StackAnalysis::all_lost() const noexcept { return sum(lost); }

StackAnalysis::StackAnalysis(const std::vector<RecordedSession>& sessions) {
    std::uint64_t begin = UINT64_MAX;
    std::uint64_t end = 0;
    for (const RecordedSession& session : sessions) {
        begin = std::min(begin, session.started);
        end = std::max(end, session.last_time);
        add(session);
    }
    wall = end > begin ? static_cast<double>(end - begin) : 0;
    std::sort(changed_files.begin(), changed_files.end());
    changed_files.erase(std::unique(changed_files.begin(), changed_files.end()), changed_files.end());
    find_hot_places();
}

void StackAnalysis::add(const RecordedSession& session) {
    const Scale scale{session};
    Unwinder unwinder{session, places};
    for (const RecordedSample& sample : session.samples) {
        AnalysedSample analysed{&session, &sample, unwinder.unwind(sample), 0, 0, 0};
        drop_library_calls(analysed.stack, places);
        analysed.own = own_place_in(analysed.stack, places);
        analysed.faults = sample.faults() * scale.faults[index_of(sample.kind)];
        analysed.lost = static_cast<double>(sample.weight) * scale.lost[index_of(sample.kind)];
        samples.push_back(std::move(analysed));
    }
    for (std::size_t kind = 0; kind < trace::kSampledKinds; ++kind) {
        faults[kind] += static_cast<double>(session.faults[kind]);
        lost[kind] += static_cast<double>(session.nanoseconds[kind]);
    }
    samples_lost += session.lost;
    evictions += session.evictions;
    changed_files.insert(changed_files.end(), unwinder.changed_files().begin(), unwinder.changed_files().end());
}

void StackAnalysis::find_hot_places() {
    using Key = std::tuple<std::string, std::string, std::string, int>;
    std::map<Key, std::size_t> known;
    std::vector<std::map<PlaceId, double>> inner_of;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const AnalysedSample& sample = samples[i];
        const PlaceId id = sample.stack[sample.own];
        const CodePlace& place = places[id];
        const Key key{place.function.empty() ? place.name() : place.function, place.object, place.file, place.line};
        const auto [at, added] = known.try_emplace(key, hot.size());
        if (added) {
            hot.emplace_back();
            inner_of.emplace_back();
        }
        HotPlace& spot = hot[at->second];
        spot.faults[index_of(sample.sample->kind)] += sample.faults;
        spot.lost[index_of(sample.sample->kind)] += sample.lost;
        spot.samples.push_back(i);
        inner_of[at->second][sample.stack.front()] += sample.lost;
        // A function without lines is shown with the offset that lost most, so only a hint.
        if (added) spot.place = id;
    }
    const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
    for (std::size_t i = 0; i < hot.size(); ++i) {
        hot[i].inner = std::max_element(inner_of[i].begin(), inner_of[i].end(), less)->first;
    }
    std::stable_sort(hot.begin(), hot.end(),
                     [](const HotPlace& a, const HotPlace& b) { return a.all_lost() > b.all_lost(); });
}

}  // namespace faultline::tool
