// swap_storm: threads read and rewrite random pages in a region larger than its memory limit. Every byte of every page
// is predictable, and is checked on each visit and once more at the end. A pager that loses a write, mixes up two pages
// or shows a half-filled page is detected.
#include "display/format.hpp"
#include "storm/checked_pages.hpp"
#include "storm/live_view.hpp"
#include "storm/options.hpp"
#include "storm/report.hpp"
#include "storm/sweep.hpp"
#include "storm/visitors.hpp"
#include "support/command_line.hpp"
#include "support/exit_code.hpp"
#include "support/files.hpp"
#include "support/interrupt.hpp"
#include "support/live_line.hpp"
#include "support/process_memory.hpp"
#include "support/stats_math.hpp"
#include "support/thread_group.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/stats.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>

namespace faultline::demo::storm {
namespace {

class Stopwatch {
public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void print_header(const Options& options, const Pager& pager, const Region& region) {
    const std::size_t pages = region.size() / region.page_size();
    std::printf("%s in %s pages of %s, at most %s resident\n", display::format_bytes(region.size()).c_str(),
                display::format_count(pages).c_str(), display::format_bytes(region.page_size()).c_str(),
                display::format_bytes(pager.resident_limit()).c_str());
    std::printf("%u threads, mode %s, delivery %s, eviction %s, replacement %s, seed %llu\n", options.threads,
                options.mode_name.c_str(), to_string(pager.delivery()), to_string(pager.eviction()),
                to_string(options.pager.replacement), static_cast<unsigned long long>(options.seed));
    static_cast<void>(std::fflush(stdout));
}

void populate(CheckedPages& pages, const Pager& pager, unsigned threads, LiveLine& line, Results& results) {
    const PagerStats before = pager.stats();
    const Stopwatch watch;
    results.populated = sweep(
        line, "populate", pages.count(), threads, [&](std::size_t page) { pages.populate(page); }, interrupted);
    results.populate_seconds = watch.seconds();
    results.populate = difference(pager.stats(), before);
}

void blow(CheckedPages& pages, const Options& options, const Pager& pager, const Region& region, LiveLine& line,
          Results& results) {
    const PagerStats before = pager.stats();
    Visitors visitors{pages, options};
    LiveView view{pager, region, line};
    const Stopwatch watch;
    const auto over = [&] { return interrupted() || watch.seconds() >= options.seconds; };
    if (!over()) {
        ThreadGroup group{options.threads, [&](unsigned index) { visitors.visit(index); }, [&] { visitors.stop(); }};
        while (!over()) {
            const double left = options.seconds - watch.seconds();
            const auto nap = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(left));
            if (group.wait_for(std::clamp(nap, std::chrono::milliseconds{1}, LiveLine::tick()))) break;
            if (line.due()) view.show(watch.seconds());
        }
        visitors.stop();
        group.join();
    }
    line.clear();
    results.storm_seconds = watch.seconds();
    results.storm = difference(pager.stats(), before);
    results.visits = visitors.visits();
}

void verify(CheckedPages& pages, unsigned threads, LiveLine& line, Results& results) {
    if (interrupted()) line.print("interrupted: what was done is checked all the same");
    const Stopwatch watch;
    // Not interruptible: what was done before an interrupt is still checked. A second signal ends the program.
    sweep(
        line, "verify", pages.count(), threads, [&](std::size_t page) { pages.read(page); }, [] { return false; });
    results.verify_seconds = watch.seconds();
}

/// Opens the file for the results before the work, so that a wrong name is reported at once.
std::optional<OutputFile> open_json(const Options& options) {
    return options.json.empty() ? std::nullopt : std::optional<OutputFile>{std::in_place, options.json};
}

int run(const Options& options) {
    std::optional<OutputFile> json = open_json(options);
    LiveLine line;
    Pager pager = open_pager(options.pager.config(), line);
    const Region region = pager.reserve(options.size, options.pager.region());
    CheckedPages pages{region, options.seed, line};
    print_header(options, pager, region);
    catch_interrupts();

    Results results;
    results.pages = pages.count();
    results.page_size = region.page_size();
    results.delivery = pager.delivery();
    results.eviction = pager.eviction();
    results.resident_limit = pager.resident_limit();
    populate(pages, pager, options.threads, line, results);
    blow(pages, options, pager, region, line, results);
    verify(pages, options.threads, line, results);
    results.peak_resident = peak_resident_bytes();
    results.mismatches = pages.mismatches();

    print_report(results);
    if (json) {
        json->write(json_text(options, results));
        json->commit();
    }
    std::printf("verified %zu pages, %llu mismatches\n", results.pages,
                static_cast<unsigned long long>(results.mismatches));
    return results.mismatches == 0 ? kExitOk : kExitWrong;
}

}  // namespace
}  // namespace faultline::demo::storm

int main(int argc, char** argv) {
    using namespace faultline::demo;
    return run_program("swap_storm", [&] {
        const auto options = storm::parse_options(argc, argv);
        return options ? storm::run(*options) : kExitOk;
    });
}
