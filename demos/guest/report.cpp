#include "guest/report.hpp"

#include "anatomy/picture.hpp"
#include "display/format.hpp"

#include <faultline/stats.hpp>

#include <cstring>

namespace faultline::demo::guest {
namespace {

const char* signal_name(int signal) noexcept {
    const char* const name = ::sigabbrev_np(signal);
    return name != nullptr ? name : "?";
}

std::string ending(const AddressSpace& space, const GuestEnd& end) {
    if (end.signal == 0) return display::printed("exited with code %d", end.exit_code);
    std::string text = display::printed("was ended by signal %d (SIG%s)", end.signal, signal_name(end.signal));
    if (!end.was_a_fault) return text;
    text += display::printed(" at 0x%llx", static_cast<unsigned long long>(end.address));
    const Explanation where = space.explain(reinterpret_cast<const void*>(end.address));  // NOLINT: any number at all
    return text + (where.segment ? ", in segment " + where.segment->name : ", in no segment");
}

std::string figures(const PagerStats& stats, const GuestCounts& counts) {
    const std::uint64_t faults = stats.first_touches + stats.hard_faults + stats.soft_faults + stats.write_faults;
    return display::printed("  faults         %s: %s first touches, %s read, %s taken back, %s first writes\n",
                            display::format_count(faults).c_str(), display::format_count(stats.first_touches).c_str(),
                            display::format_count(stats.hard_faults).c_str(),
                            display::format_count(stats.soft_faults).c_str(),
                            display::format_count(stats.write_faults).c_str()) +
           display::printed("  peak resident  %s of %s\n", display::format_bytes(stats.frames_peak).c_str(),
                            display::format_bytes(stats.resident_limit).c_str()) +
           display::printed(
               "  evictions      %s; %s read, %s written\n", display::format_count(stats.evictions).c_str(),
               display::format_bytes(stats.bytes_read).c_str(), display::format_bytes(stats.bytes_written).c_str()) +
           display::printed("  system calls   %s, of which %s for memory\n",
                            display::format_count(counts.calls).c_str(),
                            display::format_count(counts.memory_calls).c_str());
}

/// A fault is counted shortly after it is answered. Unmapping waits for faults in progress, so that all are counted.
void settle(AddressSpace& space) { space.unmap(space.map_anonymous(kBasePageBytes), kBasePageBytes); }

}  // namespace

std::string report_of(const Options& options, const Pager& pager, AddressSpace& space, const Guest& guest,
                      const GuestEnd& end) {
    settle(space);
    std::string text;
    if (options.maps) text += space.maps();
    if (options.quiet) return text;
    return text + "run_elf: " + options.program.front() + " " + ending(space, end) + "\n" +
           figures(pager.stats(), guest.counts()) + anatomy::usage_table(space);
}

}  // namespace faultline::demo::guest
