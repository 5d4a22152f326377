#include "tool/stacks/trace_events.hpp"

#include "display/format.hpp"
#include "display/json.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace faultline::tool {
namespace {

using display::Json;

constexpr std::array<const char*, trace::kSampledKinds> kKinds{"first touch", "hard", "soft", "write", "wait"};

double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

std::string hexadecimal(std::uint64_t value) {
    return display::printed("0x%llx", static_cast<unsigned long long>(value));
}

std::string place_text(const CodePlace& place) {
    const std::string line = place.line_text();
    return line.empty() ? place.name() : place.name() + " (" + line + ")";
}

Json metadata(const char* what, std::uint32_t pid, std::uint32_t tid, const std::string& name) {
    Json event;
    event["ph"] = "M";
    event["name"] = what;
    event["pid"] = pid;
    event["tid"] = tid;
    event["args"]["name"] = name;
    return event;
}

/// The events of one analysis, in the order of their times.
class Events {
public:
    Events(const std::vector<RecordedSession>& sessions, const StackAnalysis& analysis) : analysis_{analysis} {
        for (const RecordedSession& session : sessions) begin_ = std::min(begin_, session.started);
        for (const RecordedSession& session : sessions) {
            const std::string name = session.executable.substr(session.executable.rfind('/') + 1);
            all_.push_back(metadata("process_name", session.pid, session.pid, name));
        }
        std::vector<const AnalysedSample*> sorted;
        for (const AnalysedSample& sample : analysis.samples) sorted.push_back(&sample);
        std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
            return a->sample->time - a->sample->took < b->sample->time - b->sample->took;
        });
        for (const AnalysedSample* const sample : sorted) add(*sample);
    }

    [[nodiscard]] Json take() { return std::move(all_); }

private:
    [[nodiscard]] double time_of(std::uint64_t time) const { return microseconds(time - std::min(begin_, time)); }

    void add(const AnalysedSample& analysed) {
        const RecordedSample& sample = *analysed.sample;
        const std::uint32_t pid = analysed.session->pid;
        if (threads_.insert({pid, sample.thread}).second) {
            all_.push_back(
                metadata("thread_name", pid, sample.thread,
                         (sample.thread == pid ? "main thread " : "thread ") + std::to_string(sample.thread)));
        }
        Json slice;
        slice["ph"] = "X";
        slice["name"] = analysis_.places[analysed.stack[analysed.own]].name();
        slice["cat"] = kKinds[static_cast<std::size_t>(sample.kind)];
        slice["pid"] = pid;
        slice["tid"] = sample.thread;
        slice["ts"] = time_of(sample.time - std::min(sample.took, sample.time));
        slice["dur"] = microseconds(sample.took);
        Json& args = slice["args"];
        args["kind"] = kKinds[static_cast<std::size_t>(sample.kind)];
        args["access"] = sample.write ? "write" : "read";
        args["address"] = hexadecimal(sample.address);
        args["stands for faults"] = display::rounded(analysed.faults);
        args["stands for ms"] = display::rounded(analysed.lost / 1e6);
        if (sample.kind == trace::SampledKind::hard && sample.evictions_ago != trace::kUnknownDistance) {
            args["evicted pages ago"] = sample.evictions_ago;
        }
        Json& stack = args["stack"] = Json::array();
        for (const PlaceId id : analysed.stack) stack.push_back(place_text(analysis_.places[id]));
        all_.push_back(std::move(slice));
        double& lost = lost_[analysed.session->id];
        lost += analysed.lost;
        all_.push_back(counter("time lost (ms)", pid, sample.time, lost / 1e6));
        all_.push_back(counter("evictions", pid, sample.time, static_cast<double>(sample.evictions)));
    }

    [[nodiscard]] Json counter(const char* name, std::uint32_t pid, std::uint64_t time, double value) const {
        Json event;
        event["ph"] = "C";
        event["name"] = name;
        event["pid"] = pid;
        event["ts"] = time_of(time);
        event["args"]["value"] = display::rounded(value);
        return event;
    }

    const StackAnalysis& analysis_;
    std::uint64_t begin_ = UINT64_MAX;
    Json all_ = Json::array();
    std::set<std::pair<std::uint32_t, std::uint32_t>> threads_;
    std::map<std::uint64_t, double> lost_;  // so far, by session
};

}  // namespace

std::string trace_events(const std::vector<RecordedSession>& sessions, const StackAnalysis& analysis) {
    Json json;
    json["displayTimeUnit"] = "ns";
    json["traceEvents"] = Events{sessions, analysis}.take();
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace faultline::tool
