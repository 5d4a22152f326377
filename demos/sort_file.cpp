// sort_file: sorts a text file that is larger than its memory limit. The text and the array of its lines lie in managed
// memory. The program uses plain pointers and std::sort; the pager does the rest. To be fast, it takes care of the
// order in which it touches pages, as any program must whose data is larger than memory.
#include "display/format.hpp"
#include "sort/line_sorter.hpp"
#include "sort/line_writer.hpp"
#include "sort/options.hpp"
#include "sort/pinning.hpp"
#include "sort/progress.hpp"
#include "sort/text.hpp"
#include "support/command_line.hpp"
#include "support/exit_code.hpp"
#include "support/files.hpp"
#include "support/interrupt.hpp"
#include "support/live_line.hpp"
#include "support/process_memory.hpp"
#include "support/stats_math.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>

namespace faultline::demo::sort {
namespace {

/// A run shorter than this prints its result only.
constexpr std::chrono::milliseconds kQuietFor{2000};

struct Timing {
    double load = 0;  ///< Seconds that each part took.
    double sort = 0;
    double write = 0;
    double all = 0;
};

class Lap {
public:
    /// Returns the seconds since the last call.
    double next() {
        const auto now = Clock::now();
        const double seconds = std::chrono::duration<double>(now - last_).count();
        last_ = now;
        return seconds;
    }

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point last_ = Clock::now();
};

TextSize sort_text(InputFile& input, OutputFile& output, Pager& pager, RegionOptions options, Progress& progress,
                   Timing& timing) {
    const std::size_t window = window_bytes(pager, options.page_size);
    Lap lap;
    const TextSize size = measure(input, progress);
    Text text = load(pager, options, input, size, window, progress);
    timing.load = lap.next();
    LineSorter{pager, options, text, progress}.sort();
    timing.sort = lap.next();
    LineWriter{pager, options, text, output, window, progress}.write();
    output.commit();
    timing.write = lap.next();
    timing.all = timing.load + timing.sort + timing.write;
    return size;
}

void print_result(const TextSize& size, const Timing& timing, const Pager& pager) {
    const PagerStats stats = pager.stats();
    std::printf("load %s, sort %s, write %s; delivery %s, eviction %s\n", display::format_seconds(timing.load).c_str(),
                display::format_seconds(timing.sort).c_str(), display::format_seconds(timing.write).c_str(),
                to_string(pager.delivery()), to_string(pager.eviction()));
    std::printf("faults: %s first touch, %s hard, %s soft, %s write-protect; %s pages read ahead, %s evictions\n",
                display::format_count(stats.first_touches).c_str(), display::format_count(stats.hard_faults).c_str(),
                display::format_count(stats.soft_faults).c_str(), display::format_count(stats.write_faults).c_str(),
                display::format_count(stats.pages_read_ahead).c_str(), display::format_count(stats.evictions).c_str());
    std::printf("sorted %s lines (%s) in %s within %s: %s faults, %s read and %s written to swap, peak RSS %s\n",
                display::format_count(size.lines).c_str(), display::format_bytes(size.bytes).c_str(),
                display::format_seconds(timing.all).c_str(), display::format_bytes(pager.resident_limit()).c_str(),
                display::format_count(total_faults(stats)).c_str(), display::format_bytes(stats.bytes_read).c_str(),
                display::format_bytes(stats.bytes_written).c_str(),
                display::format_bytes(peak_resident_bytes()).c_str());
}

int run(const Options& options) {
    catch_interrupts();
    InputFile input{options.input};
    OutputFile output{options.output};  // opened now, so that a wrong name is reported before the work
    LiveLine line{stdout, kQuietFor};
    Pager pager = open_pager(options.pager.config(), line);
    Timing timing;
    TextSize size;
    {
        Progress progress;
        const Ticker ticker{progress, pager, line};
        size = sort_text(input, output, pager, options.pager.region(), progress, timing);
    }
    print_result(size, timing, pager);
    return kExitOk;
}

}  // namespace
}  // namespace faultline::demo::sort

int main(int argc, char** argv) {
    using namespace faultline::demo;
    return run_program("sort_file", [&] {
        const auto options = sort::parse_options(argc, argv);
        return options ? sort::run(*options) : kExitOk;
    });
}
