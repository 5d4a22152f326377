#include "core/figures.hpp"
#include "display/json.hpp"
#include "tool/report.hpp"

#include <sys/wait.h>

namespace faultline::tool {
namespace {

using display::Json;
using display::rounded;

Json json_of(const run::ProgramCounters& counters) {
    Json json{{"faults", counters.faults()}};
    display::add_figures(json, counters);
    return json;
}

Json memory_of(const run::MemoryGauges& gauges) {
    Json json;
    display::add_figures(json, gauges);
    return json;
}

Json heap_of(const run::ProgramGauges& gauges) {
    Json json;
    display::add_figures<run::HeapGauges>(json, gauges);
    json["fragmentation"] = rounded(fragmentation(gauges));
    return json;
}

Json json_of(const run::FaultLatency& latency) {
    return {{"count", latency.count},
            {"p50_ns", latency.median},
            {"p99_ns", latency.percentile_99},
            {"longest_ns", latency.longest}};
}

Json json_of(const run::MemoryPeaks& peaks) {
    return {{"resident_peak", peaks.resident}, {"anonymous_peak", peaks.anonymous}, {"file_peak", peaks.file}};
}

Json json_of(const run::TreePeak& peak) {
    return {{"bytes", peak.sum()}, {"managed", peak.managed}, {"compressed", peak.compressed}, {"other", peak.other}};
}

Json json_of(const run::SeenUnmanaged& unmanaged) {
    return {{"name", printable(unmanaged.program.name.data())},
            {"why", run::words_of(unmanaged.program.obstacle)},
            {"starts", unmanaged.starts}};
}

Json latencies_of(const run::ProgramStatus& status) {
    return {{"first_touch", json_of(status.first_touch)},
            {"hard", json_of(status.hard)},
            {"soft", json_of(status.soft)},
            {"write", json_of(status.write)}};
}

Json json_of(const run::SeenProgram& program) {
    const run::ProgramStatus& status = program.status;
    return {{"pid", status.process.pid},
            {"parent_pid", status.process.parent_pid},
            {"name", printable(status.process.name.data())},
            {"still_runs", program.running},
            {"has_figures", status.has_figures()},
            {"figures_are_last", status.ended != 0 || status.complete != 0},
            {"seconds", rounded(static_cast<double>(status.published_at - status.started_at) / 1e9)},
            {"delivery", to_string(static_cast<Delivery>(status.delivery))},
            {"eviction", to_string(static_cast<Eviction>(status.eviction))},
            {"counters", json_of(status.counters)},
            {"memory", memory_of(status.gauges)},
            {"process_memory", json_of(status.memory)},
            {"heap", heap_of(status.gauges)},
            {"latency", latencies_of(status)}};
}

template <typename Entry>
Json list_of(const std::vector<Entry>& entries) {
    Json list = Json::array();
    for (const Entry& entry : entries) list.push_back(json_of(entry));
    return list;
}

std::string command_of(const RunReport& report) {
    std::string command;
    for (const std::string& word : report.program) command += (command.empty() ? "" : " ") + printable(word);
    return command;
}

}  // namespace

std::string report_json(const RunReport& report) {
    const ProgramEnd& end = report.end;
    const Totals totals = totals_of(report.seen);
    return display::json_text({{"command", command_of(report)},
                               {"end", end.text()},
                               {"exit_code", end.exit_code()},
                               {"seconds", rounded(std::chrono::duration<double>(end.took).count())},
                               {"user_seconds", rounded(seconds_of(end.used.ru_utime))},
                               {"system_seconds", rounded(seconds_of(end.used.ru_stime))},
                               {"peak_resident_bytes", static_cast<std::uint64_t>(end.used.ru_maxrss) << 10},
                               {"memory_limit", report.settings.memory_limit},
                               {"memory_per_process", report.settings.memory_per_process},
                               {"peak", json_of(peak_of(report))},
                               {"resident_limit", report.settings.resident_limit},
                               {"compressed_limit", report.settings.compressed_limit},
                               {"delivery_wanted", to_string(report.settings.delivery)},
                               {"entered", report.seen.claims > 0},
                               {"programs_seen", totals.programs},
                               {"programs_unheard", report.seen.unheard},
                               {"unmanaged", list_of(report.seen.unmanaged)},
                               {"unmanaged_unnamed", report.seen.more_unmanaged},
                               {"totals", json_of(totals.counters)},
                               {"programs", list_of(report.seen.programs)}});
}

}  // namespace faultline::tool
