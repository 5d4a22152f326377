#include "tool/stacks/stack_report.hpp"

#include "display/format.hpp"
#include "display/json.hpp"
#include "display/terminal.hpp"
#include "tool/report.hpp"
#include "tool/stacks/access_pattern.hpp"
#include "tool/stacks/debug_library.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace faultline::tool {
namespace {

using display::Colour;
using display::format_count;
using display::printed;
using Kind = trace::SampledKind;

constexpr std::size_t kColumns = 80;
constexpr std::uint64_t kFewSamples = 100;

std::string count(double value) { return format_count(static_cast<std::uint64_t>(std::llround(value))); }

std::string duration(double nanoseconds) {
    return display::format_nanoseconds(static_cast<std::uint64_t>(nanoseconds));
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

/// Cuts a text to `columns`, with dots at the end.
std::string cut(const std::string& text, std::size_t columns) {
    return text.size() <= columns ? text : text.substr(0, columns - 2) + "..";
}

/// Breaks a text into lines of at most kColumns, each behind `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent) {
    std::string lines;
    std::string line;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        const std::string word = text.substr(at, end - at);
        at = end + 1;
        if (word.empty()) continue;
        if (!line.empty() && indent + line.size() + 1 + word.size() > kColumns) {
            lines += std::string(indent, ' ') + line + "\n";
            line.clear();
        }
        line += (line.empty() ? "" : " ") + word;
    }
    return line.empty() ? lines : lines + std::string(indent, ' ') + line + "\n";
}

/// Returns the session that lost most time.
const RecordedSession& main_session(const std::vector<RecordedSession>& sessions) {
    const auto lost = [](const RecordedSession& session) {
        return std::accumulate(session.nanoseconds.begin(), session.nanoseconds.end(), std::uint64_t{0});
    };
    return *std::max_element(sessions.begin(), sessions.end(),
                             [&](const auto& a, const auto& b) { return lost(a) < lost(b); });
}

std::string heading(const std::string& file, const std::vector<RecordedSession>& sessions,
                    const StackAnalysis& analysis) {
    std::string text = printable(file) + ": " + printable(cut(main_session(sessions).command_line, 40));
    if (sessions.size() > 1) {
        text += printed(" and %s more process%s", format_count(sessions.size() - 1).c_str(),
                        sessions.size() > 2 ? "es" : "");
    }
    text += printed("; faults took %s", duration(analysis.all_lost()).c_str());
    if (analysis.wall > 0) text += printed(" of %s", duration(analysis.wall).c_str());
    return wrapped(text, 0);
}

std::string counts_line(const StackAnalysis& analysis) {
    constexpr std::array<const char*, trace::kSampledKinds> kNames{"first touches", "hard", "soft", "first writes",
                                                                   "waits"};
    std::string text = count(analysis.all_faults()) + " faults:";
    for (std::size_t kind = 0; kind < kNames.size(); ++kind) {
        if (analysis.faults[kind] > 0) text += " " + count(analysis.faults[kind]) + " " + kNames[kind] + ",";
    }
    text.back() = ';';
    text += " " + format_count(analysis.evictions) + " evictions; " + format_count(analysis.samples.size()) + " stacks";
    if (analysis.samples_lost > 0) text += ", " + format_count(analysis.samples_lost) + " lost";
    return wrapped(text, 2);
}

std::string limit_line(const RecordedSession& session) {
    if (session.memory_limit != 0) return "  limit --memory " + display::format_bytes(session.memory_limit) + "\n";
    return "  limit --resident " + display::format_bytes(session.resident_limit) + "\n";
}

Colour colour_of(double percent_of_time) {
    if (percent_of_time >= 20) return Colour::red;
    return percent_of_time >= 5 ? Colour::yellow : Colour::none;
}

/// Where the place is: line or object, and the function of a system library in which its faults happen.
std::string whereabouts(const CodePlace& place, const CodePlace& inner) {
    std::string text = place.line_text();
    const std::string object = place.object_name();
    if (!object.empty()) text += (text.empty() ? "" : "  ") + (text.empty() ? object : "(" + object + ")");
    if (inner.function != place.function && !inner.function.empty()) text += "  in " + inner.function;
    return text;
}

/// The calls around the place, in the sample that counts for most time: "called by a, b, c".
std::string callers(const StackAnalysis& analysis, const HotPlace& spot) {
    constexpr std::size_t kMostCallers = 3;
    const auto weight = [&](std::size_t i) {
        const AnalysedSample& sample = analysis.samples[i];
        return std::pair{sample.stack.size() > sample.own + 1, sample.lost};
    };
    const std::size_t heaviest = *std::max_element(spot.samples.begin(), spot.samples.end(),
                                                   [&](auto a, auto b) { return weight(a) < weight(b); });
    const AnalysedSample& sample = analysis.samples[heaviest];
    std::string text;
    std::size_t listed = 0;
    for (std::size_t i = sample.own + 1; i < sample.stack.size() && listed < kMostCallers; ++i) {
        const CodePlace& caller = analysis.places[sample.stack[i]];
        if (caller.of_system() || caller.function.empty()) break;
        text += (listed++ == 0 ? "called by " : ", ") + cut(caller.function, 40);
    }
    return text;
}

std::string place_lines(std::size_t rank, const StackAnalysis& analysis, const HotPlace& spot,
                        const PatternJudge& judge, bool colour) {
    const CodePlace& place = analysis.places[spot.place];
    const double share = percent(spot.all_lost(), analysis.all_lost());
    const std::string figures =
        printed("%3zu %5.1f%% %10s %5.1f%% %10s", rank, share, printed("%.1f", spot.all_lost() / 1e6).c_str(),
                percent(spot.all_faults(), analysis.all_faults()), count(spot.of(Kind::hard)).c_str());
    const std::string name = "  " + cut(printable(place.name()), kColumns - figures.size() - 2);
    std::string text = (colour ? display::coloured(figures, colour_of(share)) : figures) + name + "\n";
    constexpr std::size_t kIndent = 4;
    const std::string where = whereabouts(place, analysis.places[spot.inner]);
    if (!where.empty()) text += wrapped(printable(where), kIndent);
    text += wrapped(printable(callers(analysis, spot)), kIndent);
    const AccessPattern pattern = judge.judge(spot);
    const RecordedSession& session = *analysis.samples[spot.samples.front()].session;
    const std::string advice = advice_for(spot, pattern, session);
    const std::string words = wrapped(words_of(pattern) + (advice.empty() ? "" : ": " + advice), kIndent);
    return text + (colour ? display::coloured(words, Colour::cyan) : words);
}

/// What more memory would do for the process with the most samples.
std::string memory_lines(const StackAnalysis& analysis, const PatternJudge& judge) {
    std::vector<std::size_t> hard;
    for (std::size_t i = 0; i < analysis.samples.size(); ++i) {
        if (analysis.samples[i].sample->kind == Kind::hard) hard.push_back(i);
    }
    if (hard.empty()) return {};
    std::string text;
    std::string limit;
    for (const double part : {0.9, 0.5}) {
        const std::uint64_t more = judge.bytes_more(hard, part);
        const std::string needed = larger_limit(*analysis.samples[hard.front()].session, more);
        if (more == 0 || needed == limit) continue;
        text += printed("%s%s avoids %.0f%%", text.empty() ? "" : ", ", needed.c_str(), 100 * part);
        limit = needed;
    }
    if (text.empty()) return {};
    return "\n" +
           wrapped("Memory: " + text + " of the hard faults, as far as the distances between eviction and return tell.",
                   0);
}

std::string notes(const StackAnalysis& analysis) {
    std::string text;
    if (const std::string why = why_no_debug_library(); !why.empty()) text += wrapped("Note: " + why + ".", 0);
    if (analysis.samples.size() < kFewSamples) {
        text += wrapped("Note: few stacks, so shares are rough. Record a longer run, or with a higher --rate.", 0);
    }
    for (const std::string& file : analysis.changed_files) {
        text +=
            wrapped("Note: " + printable(file) + " is not the file that was recorded: its functions may be wrong.", 0);
    }
    return text.empty() ? text : "\n" + text;
}

display::Json by_kind(const ByKind& values) {
    constexpr std::array<const char*, trace::kSampledKinds> kNames{"first_touch", "hard", "soft", "write", "wait"};
    display::Json json;
    for (std::size_t kind = 0; kind < kNames.size(); ++kind) json[kNames[kind]] = display::rounded(values[kind]);
    return json;
}

}  // namespace

std::string stack_report_text(const std::string& file, const std::vector<RecordedSession>& sessions,
                              const StackAnalysis& analysis, unsigned top, bool colour) {
    std::string text = heading(file, sessions, analysis) + counts_line(analysis);
    if (analysis.samples.empty()) return text + "No stack was recorded: the faults took too little time.\n";
    text += limit_line(main_session(sessions));
    text += printed("\n%3s %6s %10s %6s %10s  %s\n", "", "TIME", "LOST MS", "FAULTS", "HARD", "PLACE");
    const PatternJudge judge{analysis};
    const std::size_t listed = std::min<std::size_t>(top, analysis.hot.size());
    for (std::size_t i = 0; i < listed; ++i) text += place_lines(i + 1, analysis, analysis.hot[i], judge, colour);
    if (listed < analysis.hot.size()) {
        double rest = 0;
        for (std::size_t i = listed; i < analysis.hot.size(); ++i) rest += analysis.hot[i].all_lost();
        text += printed("    %5.1f%%  in %s more places (--top)\n", percent(rest, analysis.all_lost()),
                        format_count(analysis.hot.size() - listed).c_str());
    }
    return text + memory_lines(analysis, judge) + notes(analysis);
}

std::string stack_report_json(const std::vector<RecordedSession>& sessions, const StackAnalysis& analysis) {
    display::Json json;
    json["wall_ns"] = display::rounded(analysis.wall);
    json["faults"] = by_kind(analysis.faults);
    json["lost_ns"] = by_kind(analysis.lost);
    json["evictions"] = analysis.evictions;
    json["stacks"] = analysis.samples.size();
    json["stacks_lost"] = analysis.samples_lost;
    json["processes"] = display::Json::array();
    for (const RecordedSession& session : sessions) {
        display::Json process;
        process["pid"] = session.pid;
        process["parent"] = session.parent;
        process["executable"] = session.executable;
        process["command_line"] = session.command_line;
        process["memory_limit"] = session.memory_limit;
        process["resident_limit"] = session.resident_limit;
        process["stacks"] = session.samples.size();
        json["processes"].push_back(std::move(process));
    }
    json["places"] = display::Json::array();
    const PatternJudge judge{analysis};
    for (const HotPlace& spot : analysis.hot) {
        const CodePlace& place = analysis.places[spot.place];
        const AccessPattern pattern = judge.judge(spot);
        display::Json json_place;
        json_place["function"] = place.function;
        json_place["file"] = place.file;
        json_place["line"] = place.line;
        json_place["object"] = place.object;
        json_place["offset"] = place.offset;
        json_place["inner_function"] = analysis.places[spot.inner].function;
        json_place["time_share"] = display::rounded(percent(spot.all_lost(), analysis.all_lost()) / 100);
        json_place["fault_share"] = display::rounded(percent(spot.all_faults(), analysis.all_faults()) / 100);
        json_place["faults"] = by_kind(spot.faults);
        json_place["lost_ns"] = by_kind(spot.lost);
        json_place["stacks"] = spot.samples.size();
        json_place["pattern"] = words_of(pattern);
        json_place["bytes_more"] = pattern.bytes_more;
        json_place["advice"] = advice_for(spot, pattern, *analysis.samples[spot.samples.front()].session);
        json["places"].push_back(std::move(json_place));
    }
    return display::json_text(json);
}

}  // namespace faultline::tool
