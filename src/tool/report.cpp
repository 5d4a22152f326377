#include "tool/report.hpp"

#include "display/format.hpp"

#include <algorithm>
#include <cstddef>

namespace faultline::tool {
namespace {

using display::format_bytes_short;
using display::format_count;
using display::format_nanoseconds;
using display::printed;

constexpr std::size_t kMostLines = 20;  // of programs

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string size_of(std::uint64_t bytes) { return format_bytes_short(static_cast<double>(bytes)); }

std::string table_line(const std::string& pid, const std::string& name, const run::ProgramCounters& counters,
                       const run::ProgramGauges& gauges) {
    return printed("  %7s %-15s %11s %10s %8s %6s %6s %6s %6s", pid.c_str(), name.c_str(),
                   format_count(counters.faults()).c_str(), format_count(counters.hard_faults).c_str(),
                   format_count(counters.soft_faults).c_str(), size_of(counters.bytes_read).c_str(),
                   size_of(counters.bytes_written).c_str(), size_of(gauges.frames_peak).c_str(),
                   size_of(gauges.live_bytes).c_str());
}

std::string hard_latency(const run::ProgramStatus& status) {
    if (status.hard.count == 0) return printed("  %9s %9s", "-", "-");
    return printed("  %9s %9s", format_nanoseconds(status.hard.median).c_str(),
                   format_nanoseconds(status.hard.percentile_99).c_str());
}

std::string program_line(const run::SeenProgram& program) {
    const run::ProgramStatus& status = program.status;
    return table_line(std::to_string(status.process.pid), printable(status.process.name.data()), status.counters,
                      status.gauges) +
           hard_latency(status) + (program.running ? "  still runs" : "") + "\n";
}

/// Those with the most faults where there are too many for a line each; in the order in which they began.
std::vector<run::SeenProgram> listed(const std::vector<run::SeenProgram>& programs) {
    std::vector<run::SeenProgram> chosen = programs;
    if (chosen.size() <= kMostLines) return chosen;
    const auto by_faults = [](const run::SeenProgram& a, const run::SeenProgram& b) {
        return a.status.counters.faults() > b.status.counters.faults();
    };
    std::nth_element(chosen.begin(), chosen.begin() + kMostLines, chosen.end(), by_faults);
    chosen.resize(kMostLines);
    std::sort(chosen.begin(), chosen.end(),
              [](const run::SeenProgram& a, const run::SeenProgram& b) { return a.status.claim < b.status.claim; });
    return chosen;
}

std::string end_line(const RunReport& report) {
    const ProgramEnd& end = report.end;
    return printed("faultline: %s %s after %s; user %.2f s, system %.2f s, at most %s resident\n",
                   printable(report.program.front()).c_str(), end.text().c_str(),
                   display::format_seconds(std::chrono::duration<double>(end.took).count()).c_str(),
                   seconds_of(end.used.ru_utime), seconds_of(end.used.ru_stime),
                   display::format_bytes(static_cast<std::uint64_t>(end.used.ru_maxrss) << 10).c_str());
}

std::string nobody_text(const RunReport& report) {
    const std::string why =
        !report.obstacle.empty()
            ? printable(report.program.front()) + " " + report.obstacle
            : "it may be statically linked, change privileges, or have dropped LD_PRELOAD or the right to look into "
              "this command";
    return "faultline: the program ran without faultline: no process has taken managed memory into use (" + why + ")\n";
}

std::string table(const RunReport& report) {
    std::string text = printed("  %7s %-15s %11s %10s %8s %6s %6s %6s %6s  %9s %9s\n", "PID", "PROGRAM", "FAULTS",
                               "HARD", "SOFT", "IN", "OUT", "PEAK", "LIVE", "HARD P50", "P99");
    const std::vector<run::SeenProgram> lines = listed(report.seen.programs);
    for (const run::SeenProgram& program : lines) text += program_line(program);
    const Totals totals = totals_of(report.seen);
    if (totals.programs > lines.size()) {
        text += printed("  %7s %s more\n", "", format_count(totals.programs - lines.size()).c_str());
    }
    if (totals.programs > 1) {
        run::ProgramGauges gauges = totals.gauges;
        text +=
            table_line("", printed("all %s", format_count(totals.programs).c_str()), totals.counters, gauges) + "\n";
    }
    return text;
}

std::string totals_text(const RunReport& report) {
    const run::ProgramCounters& all = totals_of(report.seen).counters;
    std::string text = printed(
        "  %s first touches, %s first writes, %s pages read ahead; %s evictions, %s without a "
        "write; %s of dead pages never written\n",
        format_count(all.first_touches).c_str(), format_count(all.write_faults).c_str(),
        format_count(all.pages_read_ahead).c_str(), format_count(all.evictions).c_str(),
        format_count(all.clean_evictions).c_str(), display::format_bytes(all.discarded_bytes).c_str());
    if (all.failed_faults + all.read_errors + all.write_errors > 0) {
        text += printed("  %s failed faults, %s failed reads, %s failed writes of the swap file\n",
                        format_count(all.failed_faults).c_str(), format_count(all.read_errors).c_str(),
                        format_count(all.write_errors).c_str());
    }
    if (report.seen.unheard > 0) {
        text += printed("  %s programs found no place in the status file and are not counted\n",
                        format_count(report.seen.unheard).c_str());
    }
    return text;
}

}  // namespace

Totals totals_of(const run::SeenPrograms& seen) noexcept {
    Totals totals;
    totals.programs = seen.earlier.programs + seen.programs.size();
    totals.counters = seen.earlier.counters;
    run::ProgramGauges& sums = totals.gauges;
    for (const run::SeenProgram& program : seen.programs) {
        const run::ProgramGauges& gauges = program.status.gauges;
        totals.counters += program.status.counters;
        sums.frames_peak = std::max(sums.frames_peak, gauges.frames_peak);
        if (!program.running) continue;
        ++totals.running;
        sums.resident_limit += gauges.resident_limit;
        sums.frames_used += gauges.frames_used;
        sums.swapped_bytes += gauges.swapped_bytes;
        sums.compressed_used += gauges.compressed_used;
        sums.live_bytes += gauges.live_bytes;
    }
    return totals;
}

double fragmentation(const run::ProgramGauges& gauges) noexcept {
    const std::uint64_t idle = gauges.cached_bytes + gauges.free_in_spans + gauges.free_outside_spans;
    const std::uint64_t whole = gauges.live_bytes + idle;
    return whole == 0 ? 0 : static_cast<double>(idle) / static_cast<double>(whole);
}

double hit_rate(const run::ProgramCounters& counters) noexcept {
    const std::uint64_t faults = counters.faults();
    if (faults == 0) return -1;
    return static_cast<double>(faults - counters.hard_faults) / static_cast<double>(faults);
}

std::string printable(std::string_view text) {
    std::string result{text};
    std::replace_if(
        result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return result;
}

std::string report_text(const RunReport& report) {
    std::string text = end_line(report);
    if (report.end.start_error != 0) return text;
    if (report.seen.claims == 0) return text + nobody_text(report);
    return text + table(report) + totals_text(report);
}

}  // namespace faultline::tool
