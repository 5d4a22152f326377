// The text and JSON that the command makes from given figures.
#include "tool/report.hpp"
#include "tool/doctor/finding.hpp"
#include "tool/live_view.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>

namespace faultline::tool {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

run::SeenProgram program(std::uint64_t number, const char* name, std::uint64_t hard, bool running = false) {
    run::SeenProgram seen;
    seen.running = running;
    seen.status.claim = number;
    seen.status.process.pid = 1000 + number;
    std::strncpy(seen.status.process.name.data(), name, seen.status.process.name.size() - 1);
    seen.status.counters.hard_faults = hard;
    seen.status.counters.first_touches = 3 * hard;
    seen.status.counters.bytes_read = hard << 12;
    seen.status.gauges.frames_used = number << 20;
    seen.status.gauges.frames_peak = number << 20;
    seen.status.gauges.live_bytes = 3 << 20;
    seen.status.gauges.resident_limit = 64 << 20;
    seen.status.memory = {.resident = 20 << 20, .anonymous = 12 << 20, .file = 8 << 20};
    seen.status.ended = 1;
    seen.status.hard = {.count = hard, .median = 8000, .percentile_99 = 90'000, .longest = 1'000'000};
    return seen;
}

RunReport report_of(std::vector<run::SeenProgram> programs) {
    RunReport report;
    report.program = {"sort", "-u"};
    report.settings.resident_limit = 64 << 20;
    report.seen.claims = programs.size();
    report.seen.programs = std::move(programs);
    return report;
}

std::size_t lines_of(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(RunReport, ReportHasALineForEachProcessAndATotal) {
    RunReport report = report_of({program(1, "sh", 0), program(2, "sort", 1500)});
    const std::string text = report_text(report);
    EXPECT_THAT(text, StartsWith("faultline: sort exited with 0 after "));
    EXPECT_THAT(text, HasSubstr("   1001 sh   "));
    EXPECT_THAT(text, HasSubstr("   1002 sort                  6,000      1,500        0   5.9M      0   2.0M    20M   "
                                " 12M   8.0M   3.0M"));
    EXPECT_THAT(text, HasSubstr("8.0 us   90.0 us"));
    EXPECT_THAT(text, HasSubstr("all 2                 6,000      1,500"));
}

TEST(RunReport, ReportSaysThatTheProgramRanWithoutALimit) {
    RunReport report = report_of({});
    EXPECT_THAT(report_text(report), HasSubstr("sort ran without faultline, and so without a limit"));
    report.obstacle = "is statically linked";
    EXPECT_THAT(unmanaged_text(report), HasSubstr("without a limit: it is statically linked"));
    EXPECT_THAT(report_json(report), HasSubstr("\"entered\": false"));
    report.can_be_told = false;
    EXPECT_EQ(unmanaged_text(report), "") << "without /proc a program cannot report that it was entered";
}

TEST(RunReport, SuccessWithoutALimitIsAFailureUnlessAllowed) {
    RunReport report = report_of({});
    EXPECT_EQ(exit_code_of(report, false), 125);
    EXPECT_EQ(exit_code_of(report, true), 0);
    report.end.status = 3 << 8;
    EXPECT_EQ(exit_code_of(report, false), 3) << "the program's own exit code comes first";
    EXPECT_EQ(exit_code_of(report_of({program(1, "sort", 1)}), false), 0);
}

TEST(RunReport, WarningNamesProgramsThatRanWithoutALimit) {
    RunReport report = report_of({program(1, "make", 1)});
    EXPECT_EQ(unmanaged_text(report), "");
    report.seen.unmanaged = {{run::unmanaged_program("/usr/bin/go", run::Obstacle::statically_linked), 1200},
                             {run::unmanaged_program("ping", run::Obstacle::changes_privileges), 1}};
    EXPECT_EQ(
        unmanaged_text(report),
        "faultline: warning: programs ran without a limit: go, which is statically linked (1,200 times); ping, which "
        "changes privileges (setuid, setgid or file capabilities)\n");
    EXPECT_THAT(report_json(report), HasSubstr("\"starts\": 1200"));
    for (int i = 0; i < 10; ++i) {
        report.seen.unmanaged.push_back(
            {run::unmanaged_program("p" + std::to_string(i), run::Obstacle::statically_linked), 1});
    }
    report.seen.more_unmanaged = 3;
    EXPECT_THAT(unmanaged_text(report), HasSubstr("; and 7 more\n"));
}

TEST(RunReport, WarningNamesProcessesAboveOneAndAHalfTimesTheirLimit) {
    RunReport report = report_of({program(1, "sh", 1), program(2, "perl", 1), program(3, "sort", 1)});
    report.seen.programs[0].status.memory.resident = 96 << 20;
    EXPECT_EQ(memory_warning(report), "") << "exactly 1.5 times the limit";
    report.seen.programs[1].status.memory = {.resident = 104 << 20, .anonymous = 88 << 20, .file = 16 << 20};
    EXPECT_THAT(memory_warning(report),
                StartsWith("faultline: warning: perl (1002) had up to 104.0 MiB in memory, 1.6 "
                           "times its limit of 64.0 MiB: 88.0 MiB anonymous, 16.0 MiB of files"));
    EXPECT_THAT(report_text(report), HasSubstr(memory_warning(report)));
    report.seen.programs[2].status.memory.resident = 500 << 20;
    EXPECT_THAT(memory_warning(report), HasSubstr("sort (1003)"));
    EXPECT_THAT(memory_warning(report), HasSubstr("(and 1 more processes)"));
    report.settings.compressed_limit = 400 << 20;
    EXPECT_EQ(memory_warning(report), "") << "compressed pages have their own limit";
}

TEST(RunReport, ALineTellsWhetherTheLimitOfAllMemoryHeld) {
    RunReport report = report_of({program(1, "sh", 1), program(2, "perl", 1)});
    EXPECT_EQ(memory_text(report), "") << "no limit of all memory";
    report.settings.memory_limit = 64 << 20;
    report.seen.tree_peak = {.managed = 54 << 20, .compressed = 5 << 20, .other = 2 << 20};
    EXPECT_EQ(memory_text(report), "faultline: peak 61.0 MiB of 64.0 MiB (managed 54.0, compressed 5.0, other 2.0)\n");
    report.seen.tree_peak.other = 6 << 20;
    EXPECT_THAT(memory_text(report), HasSubstr("peak 65.0 MiB of 64.0 MiB"));
    EXPECT_THAT(memory_text(report), HasSubstr(": the limit did not hold\n"));
    EXPECT_THAT(report_json(report), HasSubstr("\"memory_limit\": 67108864"));
}

TEST(RunReport, TheLineForEachProcessIsThatOfTheProcessWithMost) {
    RunReport report = report_of({program(1, "sh", 1), program(2, "perl", 1)});
    report.settings.memory_per_process = 16 << 20;
    report.seen.programs[1].status.memory = {
        .resident = 30 << 20, .anonymous = 20 << 20, .file = 10 << 20, .managed = 12 << 20, .compressed = 3 << 20};
    EXPECT_EQ(memory_text(report),
              "faultline: peak 20.0 MiB of 16.0 MiB (managed 12.0, compressed 3.0, other 5.0): the limit did not "
              "hold\n");
}

TEST(RunReport, ProgramWithoutFiguresIsNotShownAsZeros) {
    RunReport report = report_of({program(1, "crashed", 0)});
    run::ProgramStatus& status = report.seen.programs[0].status;
    status.gauges = {};
    status.ended = 0;
    EXPECT_THAT(report_text(report), HasSubstr("crashed                   -  ended suddenly, before it left figures"));
    EXPECT_THAT(report_json(report), HasSubstr("\"has_figures\": false"));
}

TEST(RunReport, ReportSaysHowOldTheFiguresOfACrashedProgramAre) {
    RunReport report = report_of({program(1, "crashed", 5)});
    run::ProgramStatus& status = report.seen.programs[0].status;
    status.ended = 0;
    status.started_at = 1'000'000'000;
    status.published_at = 1'160'000'000;
    EXPECT_THAT(report_text(report), HasSubstr("ended suddenly: figures of its first 160.0 ms"));
    status.complete = 1;
    EXPECT_THAT(report_text(report), Not(HasSubstr("ended suddenly")));
}

TEST(RunReport, LongReportListsTheBusiestProcesses) {
    std::vector<run::SeenProgram> programs;
    for (std::uint64_t i = 1; i <= 100; ++i) programs.push_back(program(i, "cc1", i == 50 ? 1'000'000 : i));
    RunReport report = report_of(programs);
    report.seen.earlier = {.programs = 11, .counters = programs[0].status.counters};
    const std::string text = report_text(report);
    EXPECT_THAT(text, HasSubstr("91 more"));
    EXPECT_THAT(text, HasSubstr("   1050 cc1"));
    EXPECT_THAT(text, Not(HasSubstr("   1010 cc1")));
    EXPECT_THAT(text, HasSubstr("all 111"));
    EXPECT_LT(text.find(" 1050 "), text.find(" 1100 ")) << "processes are listed in the order of their start";
    EXPECT_LT(lines_of(text), 30U);
}

TEST(RunReport, ReportContainsNoEscapeSequence) {
    RunReport report = report_of({program(1, "\x1b[31mred\n", 1)});
    report.program = {"a\x1b]0;b"};
    for (const std::string& text : {report_text(report), report_json(report)}) {
        EXPECT_EQ(text.find('\x1b'), std::string::npos);
    }
}

TEST(RunReport, TotalsAddGaugesOfRunningProgramsOnly) {
    const RunReport report = report_of({program(1, "a", 5, true), program(2, "b", 5), program(4, "c", 5, true)});
    const Totals totals = totals_of(report.seen);
    EXPECT_EQ(totals.running, 2U);
    EXPECT_EQ(totals.gauges.frames_used, std::uint64_t{5} << 20);
    EXPECT_EQ(totals.gauges.frames_peak, std::uint64_t{4} << 20);
    EXPECT_EQ(totals.counters.hard_faults, 15U);
}

TEST(RunReport, ExitCodeIsTheOneThatShellsReport) {
    ProgramEnd end;
    end.status = 3 << 8;
    EXPECT_EQ(end.exit_code(), 3);
    EXPECT_EQ(end.text(), "exited with 3");
    end.status = SIGTERM;
    EXPECT_EQ(end.exit_code(), 128 + SIGTERM);
    EXPECT_EQ(end.text(), "was ended by SIGTERM");
    end.start_error = EACCES;
    EXPECT_EQ(end.exit_code(), 126);
    end.start_error = ENOENT;
    EXPECT_EQ(end.exit_code(), 127);
}

TEST(RunReport, FragmentationAndHitRateFollowFromFigures) {
    EXPECT_EQ(fragmentation({}), 0);
    run::ProgramGauges gauges;
    gauges.live_bytes = 300;
    gauges.cached_bytes = 20;
    gauges.free_in_spans = 30;
    gauges.free_outside_spans = 50;
    EXPECT_DOUBLE_EQ(fragmentation(gauges), 0.25);
    EXPECT_LT(hit_rate({}), 0);
    EXPECT_DOUBLE_EQ(hit_rate(program(1, "a", 1).status.counters), 0.75);
}

TEST(LiveView, LineShowsRatesSinceThePreviousLine) {
    LiveView view{display::Terminal{}};
    const std::chrono::steady_clock::time_point begin{};
    run::SeenPrograms seen = report_of({program(1, "sort", 1000, true)}).seen;
    EXPECT_THAT(view.next(seen, begin, 80), StartsWith("procs  first "));
    seen.programs[0] = program(1, "sort", 3000, true);
    const std::string line = view.next(seen, begin + std::chrono::seconds{2}, 80);
    // 3,000 first touches and 1,000 hard faults of 4 KiB per second; three of four faults need no read.
    EXPECT_THAT(line, StartsWith("    1  3.00k      0  1.00k  3.9M     0   75  1.0M     0  3.0M"));
    EXPECT_EQ(lines_of(line), 1U);
}

TEST(LiveView, HeaderIsRepeated) {
    LiveView view{display::Terminal{}};
    const run::SeenPrograms none;
    std::chrono::steady_clock::time_point now{};
    std::size_t headers = 0;
    for (unsigned i = 0; i < 2 * LiveView::kLinesPerHeader + 1; ++i) {
        now += std::chrono::seconds{1};
        if (view.next(none, now, 80).find("procs") != std::string::npos) ++headers;
    }
    EXPECT_EQ(headers, 3U);
}

TEST(LiveView, MapOfTheLargestProgramFillsTheTerminal) {
    display::Terminal terminal;
    terminal.interactive = true;
    LiveView view{terminal};
    run::SeenPrograms seen = report_of({program(1, "a", 1, true), program(2, "b", 1, true)}).seen;
    seen.programs[0].status.map_used = seen.programs[1].status.map_used = 1;
    seen.programs[1].status.map.fill({.resident = 255});
    std::chrono::steady_clock::time_point now{};
    static_cast<void>(view.next(seen, now, 100));
    const std::string line = view.next(seen, now + std::chrono::seconds{1}, 100);
    EXPECT_EQ(line.size(), 100U) << "99 columns and a newline";
    EXPECT_THAT(line, HasSubstr("[@@@@@@@@"));
    EXPECT_EQ(view.next(seen, now + std::chrono::seconds{2}, 60).find('['), std::string::npos)
        << "60 columns have no room for a map";
}

TEST(Findings, OneBadFindingMakesAllBad) {
    Findings findings{{"swap", Verdict::less, "slow", "buy a disk"}};
    EXPECT_TRUE(all_work(findings));
    findings.push_back({"memory", Verdict::bad, "is \"full\"", ""});
    EXPECT_FALSE(all_work(findings));
    EXPECT_THAT(findings_json(findings), HasSubstr("\"what\": \"is \\\"full\\\"\""));
    const std::string text = findings_text({{"topic", Verdict::less, "0123456789 0123456789 0123456789", "do"}}, 46);
    EXPECT_THAT(text, HasSubstr("less  topic          0123456789 0123456789\n"));
    EXPECT_THAT(text, HasSubstr("\n                     0123456789\n                  -> do\n"));
}

}  // namespace
}  // namespace faultline::tool
