#include "tool/report.hpp"

#include "display/format.hpp"
#include "tool/exit_code.hpp"

#include <algorithm>
#include <cstddef>

namespace faultline::tool {
namespace {

using display::format_bytes_short;
using display::format_count;
using display::format_nanoseconds;
using display::printed;

constexpr std::size_t kMostLines = 20;  // one per program

std::string size_of(std::uint64_t bytes) { return format_bytes_short(static_cast<double>(bytes)); }

/// The peak of memory in use: of the heap, and of the whole process as the kernel counts it.
struct PeakCells {
    std::string managed;
    std::string real;
    std::string anonymous;
    std::string file;
};

std::string table_line(const std::string& pid, const std::string& name, const run::ProgramCounters& counters,
                       const PeakCells& peaks, const std::string& live) {
    return printed("  %7s %-15s %11s %10s %8s %6s %6s %6s %6s %6s %6s %6s", pid.c_str(), name.c_str(),
                   format_count(counters.faults()).c_str(), format_count(counters.hard_faults).c_str(),
                   format_count(counters.soft_faults).c_str(), size_of(counters.bytes_read).c_str(),
                   size_of(counters.bytes_written).c_str(), peaks.managed.c_str(), peaks.real.c_str(),
                   peaks.anonymous.c_str(), peaks.file.c_str(), live.c_str());
}

PeakCells peaks_of(const run::ProgramStatus& status) {
    const auto known = [&](std::uint64_t bytes) { return status.memory.resident > 0 ? size_of(bytes) : "-"; };
    return {size_of(status.gauges.frames_peak), known(status.memory.resident), known(status.memory.anonymous),
            known(status.memory.file)};
}

std::string hard_latency(const run::ProgramStatus& status) {
    if (status.hard.count == 0) return printed("  %9s %9s", "-", "-");
    return printed("  %9s %9s", format_nanoseconds(status.hard.median).c_str(),
                   format_nanoseconds(status.hard.percentile_99).c_str());
}

/// Tells how old the figures are if the program did not leave its last ones.
std::string age_note(const run::SeenProgram& program) {
    const run::ProgramStatus& status = program.status;
    if (program.running) return "  still runs";
    if (status.ended != 0 || status.complete != 0) return {};
    const std::uint64_t age = status.published_at > status.started_at ? status.published_at - status.started_at : 0;
    return printed("  ended suddenly: figures of its first %s", format_nanoseconds(age).c_str());
}

std::string program_line(const run::SeenProgram& program) {
    const run::ProgramStatus& status = program.status;
    const std::string pid = std::to_string(status.process.pid);
    const std::string name = printable(status.process.name.data());
    if (!status.has_figures()) {
        const char* const why = program.running ? "no figures yet" : "ended suddenly, before it left figures";
        return printed("  %7s %-15s %11s  %s\n", pid.c_str(), name.c_str(), "-", why);
    }
    return table_line(pid, name, status.counters, peaks_of(status), size_of(status.gauges.live_bytes)) +
           hard_latency(status) + age_note(program) + "\n";
}

/// Returns the programs with the most faults if there are too many to list, in the order of their starts.
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

std::string table(const RunReport& report) {
    std::string text =
        printed("  %7s %-15s %11s %10s %8s %6s %6s %6s %6s %6s %6s %6s  %9s %9s\n", "PID", "PROGRAM", "FAULTS", "HARD",
                "SOFT", "IN", "OUT", "PEAK", "RSS", "ANON", "FILE", "LIVE", "HARD P50", "P99");
    const std::vector<run::SeenProgram> lines = listed(report.seen.programs);
    for (const run::SeenProgram& program : lines) text += program_line(program);
    const Totals totals = totals_of(report.seen);
    if (totals.programs > lines.size()) {
        text += printed("  %7s %s more\n", "", format_count(totals.programs - lines.size()).c_str());
    }
    if (totals.programs > 1) {
        text += table_line("", printed("all %s", format_count(totals.programs).c_str()), totals.counters,
                           {size_of(totals.gauges.frames_peak), "", "", ""}, size_of(totals.gauges.live_bytes)) +
                "\n";
    }
    return text;
}

std::string totals_text(const RunReport& report) {
    const run::ProgramCounters& all = totals_of(report.seen).counters;
    std::string text = printed(
        "  %s first touches, %s first writes, %s pages read ahead; %s evictions, %s without a "
        "write; %s of freed pages dropped without being written\n",
        format_count(all.first_touches).c_str(), format_count(all.write_faults).c_str(),
        format_count(all.pages_read_ahead).c_str(), format_count(all.evictions).c_str(),
        format_count(all.clean_evictions).c_str(), display::format_bytes(all.discarded_bytes).c_str());
    if (all.failed_faults + all.read_errors + all.write_errors > 0) {
        text += printed("  %s failed faults, %s failed reads, %s failed writes of the swap file\n",
                        format_count(all.failed_faults).c_str(), format_count(all.read_errors).c_str(),
                        format_count(all.write_errors).c_str());
    }
    if (report.seen.unheard > 0) {
        text += printed("  %s programs found no free slot in the status file and are not counted\n",
                        format_count(report.seen.unheard).c_str());
    }
    return text;
}

double mebibytes(std::uint64_t bytes) noexcept { return static_cast<double>(bytes) / (1 << 20); }

std::uint64_t limit_of(const run::Settings& settings) noexcept {
    return settings.memory() != 0 ? settings.memory() : settings.resident_limit + settings.compressed_limit;
}

/// Tells whether the limit held.
std::string peak_line(const RunReport& report) {
    const run::TreePeak peak = peak_of(report);
    if (peak.sum() == 0) return {};
    const std::uint64_t limit = limit_of(report.settings);
    const bool exceeded = report.settings.memory() != 0 && peak.sum() > limit;
    return printed("peak %.1f MiB of %.1f MiB (managed %.1f, compressed %.1f, other %.1f)%s\n", mebibytes(peak.sum()),
                   mebibytes(limit), mebibytes(peak.managed), mebibytes(peak.compressed), mebibytes(peak.other),
                   exceeded ? ": the limit did not hold" : "");
}

bool ran_unmanaged(const RunReport& report) noexcept {
    const int code = report.end.exit_code();
    const bool refused = code == kExitFailed || code == kExitNotStarted || code == kExitNotFound;
    return report.seen.claims == 0 && report.can_be_told && !refused;
}

std::string never_entered_text(const RunReport& report) {
    const std::string why = !report.obstacle.empty() ? "it " + report.obstacle
                                                     : "no process has loaded the library, or none may open this "
                                                       "command's status file";
    return "faultline: " + printable(report.program.front()) +
           " ran without faultline, and so without a limit: " + why + "\n";
}

std::string list_of_unmanaged(const run::SeenPrograms& seen) {
    constexpr std::size_t kMostNames = 8;
    std::string list;
    std::uint64_t more = seen.more_unmanaged;
    for (std::size_t i = 0; i < seen.unmanaged.size(); ++i) {
        const run::SeenUnmanaged& entry = seen.unmanaged[i];
        if (i >= kMostNames) {
            more += entry.starts;
            continue;
        }
        list += (list.empty() ? "" : "; ") + printable(entry.program.name.data()) + ", which " +
                std::string{run::words_of(entry.program.obstacle)};
        if (entry.starts > 1) list += printed(" (%s times)", format_count(entry.starts).c_str());
    }
    return more == 0 ? list : list + printed("; and %s more", format_count(more).c_str());
}

/// Returns true if a process took more than 1.5 times its limit: then the limit covers little of its memory.
bool exceeds_limit(const run::ProgramStatus& status, std::uint64_t limit) noexcept {
    return status.has_figures() && status.memory.resident > limit + limit / 2;
}

}  // namespace

double seconds_of(const timeval& time) noexcept {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

run::TreePeak peak_of(const RunReport& report) noexcept {
    if (report.settings.memory_limit != 0 && report.seen.tree_peak.sum() > 0) return report.seen.tree_peak;
    run::MemoryPeaks most;
    for (const run::SeenProgram& program : report.seen.programs) {
        if (program.status.memory.anonymous > most.anonymous) most = program.status.memory;
    }
    const std::uint64_t held = most.managed + most.compressed;
    return {most.managed, most.compressed, most.anonymous > held ? most.anonymous - held : 0};
}

std::string memory_text(const RunReport& report) {
    const std::string line = report.settings.memory() == 0 ? "" : peak_line(report);
    return line.empty() ? "" : "faultline: " + line;
}

std::string memory_warning(const RunReport& report) {
    if (report.settings.memory() != 0) return {};  // peak_line tells
    const std::uint64_t limit = limit_of(report.settings);
    const run::ProgramStatus* worst = nullptr;
    std::uint64_t others = 0;
    for (const run::SeenProgram& program : report.seen.programs) {
        if (!exceeds_limit(program.status, limit)) continue;
        if (worst != nullptr) ++others;
        if (worst == nullptr || program.status.memory.resident > worst->memory.resident) worst = &program.status;
    }
    if (worst == nullptr) return {};
    const std::string more = others == 0 ? "" : printed(" (and %s more processes)", format_count(others).c_str());
    return printed(
        "faultline: warning: %s (%s) had up to %s in memory, %.1f times its limit of %s: %s anonymous, %s of "
        "files; the limit holds for %s only%s\n",
        printable(worst->process.name.data()).c_str(), std::to_string(worst->process.pid).c_str(),
        display::format_bytes(worst->memory.resident).c_str(),
        static_cast<double>(worst->memory.resident) / static_cast<double>(limit), display::format_bytes(limit).c_str(),
        display::format_bytes(worst->memory.anonymous).c_str(), display::format_bytes(worst->memory.file).c_str(),
        report.settings.manages_mappings() ? "its heap and managed mappings" : "its heap", more.c_str());
}

std::string unmanaged_text(const RunReport& report) {
    std::string text = ran_unmanaged(report) ? never_entered_text(report) : "";
    const std::string list = list_of_unmanaged(report.seen);
    if (!list.empty()) text += "faultline: warning: programs ran without a limit: " + list + "\n";
    return text;
}

int exit_code_of(const RunReport& report, bool allow_unmanaged) noexcept {
    const int code = report.end.exit_code();
    return code == kExitOk && ran_unmanaged(report) && !allow_unmanaged ? kExitFailed : code;
}

Totals totals_of(const run::SeenPrograms& seen) noexcept {
    Totals totals;
    totals.programs = seen.earlier.programs + seen.programs.size();
    totals.counters = seen.earlier.counters;
    std::uint64_t peak = 0;
    for (const run::SeenProgram& program : seen.programs) {
        const run::ProgramGauges& gauges = program.status.gauges;
        totals.counters += program.status.counters;
        peak = std::max(peak, gauges.frames_peak);
        if (!program.running) continue;
        ++totals.running;
        core::add_figures<run::MemoryGauges>(totals.gauges, gauges);
        core::add_figures<run::HeapGauges>(totals.gauges, gauges);
    }
    totals.gauges.frames_peak = peak;
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
    if (report.seen.claims > 0) text += table(report) + totals_text(report);
    if (const std::string peak = peak_line(report); !peak.empty() && report.seen.claims > 0) text += "  " + peak;
    return text + memory_warning(report) + unmanaged_text(report);
}

}  // namespace faultline::tool
