#include "display/json.hpp"
#include "tool/report.hpp"

#include <sys/wait.h>

namespace faultline::tool {
namespace {

using display::JsonObject;

JsonObject json_of(const run::ProgramCounters& counters) {
    JsonObject json;
    json.add("faults", counters.faults());
    display::add_paging(json, counters);
    return json.add("read_errors", counters.read_errors)
        .add("write_errors", counters.write_errors)
        .add("direct_reclaims", counters.direct_reclaims)
        .add("discarded_bytes", counters.discarded_bytes);
}

JsonObject memory_of(const run::ProgramGauges& gauges) {
    return JsonObject{}
        .add("resident_limit", gauges.resident_limit)
        .add("frames_used", gauges.frames_used)
        .add("frames_peak", gauges.frames_peak)
        .add("resident_bytes", gauges.resident_bytes)
        .add("dirty_bytes", gauges.dirty_bytes)
        .add("staged_bytes", gauges.staged_bytes)
        .add("swapped_bytes", gauges.swapped_bytes)
        .add("compressed_used", gauges.compressed_used);
}

JsonObject heap_of(const run::ProgramGauges& gauges) {
    return JsonObject{}
        .add("live_bytes", gauges.live_bytes)
        .add("live_blocks", gauges.live_blocks)
        .add("large_blocks", gauges.large_blocks)
        .add("large_bytes", gauges.large_bytes)
        .add("cached_bytes", gauges.cached_bytes)
        .add("free_in_spans", gauges.free_in_spans)
        .add("free_outside_spans", gauges.free_outside_spans)
        .add("dead_bytes", gauges.dead_bytes)
        .add("break_bytes", gauges.break_bytes)
        .add("mapping_bytes", gauges.mapping_bytes)
        .add("fragmentation", fragmentation(gauges));
}

JsonObject json_of(const run::FaultLatency& latency) {
    return JsonObject{}
        .add("count", latency.count)
        .add("p50_ns", latency.median)
        .add("p99_ns", latency.percentile_99)
        .add("longest_ns", latency.longest);
}

JsonObject json_of(const run::MemoryPeaks& peaks) {
    return JsonObject{}
        .add("resident_peak", peaks.resident)
        .add("anonymous_peak", peaks.anonymous)
        .add("file_peak", peaks.file);
}

JsonObject json_of(const run::SeenUnmanaged& unmanaged) {
    return JsonObject{}
        .add("name", printable(unmanaged.program.name.data()))
        .add("why", run::words_of(unmanaged.program.obstacle))
        .add("starts", unmanaged.starts);
}

JsonObject json_of(const run::SeenProgram& program) {
    const run::ProgramStatus& status = program.status;
    return JsonObject{}
        .add("pid", status.process.pid)
        .add("parent_pid", status.process.parent_pid)
        .add("name", printable(status.process.name.data()))
        .add("still_runs", program.running)
        .add("has_figures", status.has_figures())
        .add("figures_are_last", status.ended != 0 || status.complete != 0)
        .add("seconds", static_cast<double>(status.published_at - status.started_at) / 1e9)
        .add("delivery", to_string(static_cast<Delivery>(status.delivery)))
        .add("eviction", to_string(static_cast<Eviction>(status.eviction)))
        .add("counters", json_of(status.counters))
        .add("memory", memory_of(status.gauges))
        .add("process_memory", json_of(status.memory))
        .add("heap", heap_of(status.gauges))
        .add("latency", JsonObject{}
                            .add("first_touch", json_of(status.first_touch))
                            .add("hard", json_of(status.hard))
                            .add("soft", json_of(status.soft))
                            .add("write", json_of(status.write)));
}

std::string command_of(const RunReport& report) {
    std::string command;
    for (const std::string& word : report.program) command += (command.empty() ? "" : " ") + printable(word);
    return command;
}

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::string report_json(const RunReport& report) {
    const ProgramEnd& end = report.end;
    const Totals totals = totals_of(report.seen);
    std::vector<JsonObject> programs;
    for (const run::SeenProgram& program : report.seen.programs) programs.push_back(json_of(program));
    std::vector<JsonObject> unmanaged;
    for (const run::SeenUnmanaged& entry : report.seen.unmanaged) unmanaged.push_back(json_of(entry));
    return JsonObject{}
               .add("command", command_of(report))
               .add("end", end.text())
               .add("exit_code", static_cast<unsigned>(end.exit_code()))
               .add("seconds", std::chrono::duration<double>(end.took).count())
               .add("user_seconds", seconds_of(end.used.ru_utime))
               .add("system_seconds", seconds_of(end.used.ru_stime))
               .add("peak_resident_bytes", static_cast<std::uint64_t>(end.used.ru_maxrss) << 10)
               .add("resident_limit", report.settings.resident_limit)
               .add("compressed_limit", report.settings.compressed_limit)
               .add("delivery_wanted", to_string(report.settings.delivery))
               .add("entered", report.seen.claims > 0)
               .add("programs_seen", totals.programs)
               .add("programs_unheard", report.seen.unheard)
               .add("unmanaged", unmanaged)
               .add("unmanaged_unnamed", report.seen.more_unmanaged)
               .add("totals", json_of(totals.counters))
               .add("programs", programs)
               .text() +
           "\n";
}

}  // namespace faultline::tool
