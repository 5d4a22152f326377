#include "storm/report.hpp"

#include "core/stats_figures.hpp"
#include "display/format.hpp"
#include "display/json.hpp"
#include "storm/options.hpp"
#include "support/stats_math.hpp"

#include <faultline/latency_histogram.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstdint>
#include <cstdio>
#include <string>

namespace faultline::demo::storm {
namespace {

double per_second(std::uint64_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

void print_row(const char* title, std::uint64_t count, double seconds) {
    std::printf("  %-16s %14s %10s/s", title, display::format_count(count).c_str(),
                display::format_rate(per_second(count, seconds)).c_str());
}

void print_fault_row(const char* title, std::uint64_t count, double seconds, const LatencyHistogram& latency) {
    print_row(title, count, seconds);
    if (latency.count() > 0) {
        std::printf("  %9s %9s %9s", display::format_nanoseconds(latency.quantile(0.5)).c_str(),
                    display::format_nanoseconds(latency.quantile(0.99)).c_str(),
                    display::format_nanoseconds(latency.quantile(0.999)).c_str());
    }
    std::printf("\n");
}

void print_fault_rows(const PagerStats& stats, double seconds) {
    print_row("faults", total_faults(stats), seconds);
    std::printf("  %9s %9s %9s\n", "p50", "p99", "p99.9");
    print_fault_row("  first touch", stats.first_touches, seconds, stats.first_touch_latency);
    print_fault_row("  hard", stats.hard_faults, seconds, stats.hard_latency);
    print_fault_row("  soft", stats.soft_faults, seconds, stats.soft_latency);
    print_fault_row("  write-protect", stats.write_faults, seconds, stats.write_latency);
    if (stats.failed_faults > 0) print_fault_row("  failed", stats.failed_faults, seconds, {});
}

void print_traffic_row(const char* title, std::uint64_t bytes, double seconds) {
    std::printf("  %-16s %14s %10s/s\n", title, display::format_bytes(bytes).c_str(),
                display::format_bytes(per_second(bytes, seconds)).c_str());
}

void print_phase(const PagerStats& stats, double seconds) {
    print_fault_rows(stats, seconds);
    print_row("evictions", stats.evictions, seconds);
    std::printf("   %s of them without I/O\n", display::format_count(stats.clean_evictions).c_str());
    if (stats.pages_read_ahead > 0) {
        print_row("pages read ahead", stats.pages_read_ahead, seconds);
        std::printf("\n");
    }
    print_traffic_row("read", stats.bytes_read, seconds);
    print_traffic_row("written", stats.bytes_written, seconds);
}

void add_quantiles(display::Json& json, const std::string& kind, const LatencyHistogram& latency) {
    const auto microseconds = [&](double fraction) {
        return display::rounded(static_cast<double>(latency.quantile(fraction)) / 1e3);
    };
    json[kind + "_p50_us"] = microseconds(0.5);
    json[kind + "_p99_us"] = microseconds(0.99);
    json[kind + "_p999_us"] = microseconds(0.999);
}

/// Adds what the storm counted of faults and traffic; not the state at its end.
void add_counters(display::Json& json, const PagerStats& stats) {
    for (const core::Figure<RegionStats>& figure : core::figures_of<RegionStats>()) {
        if (figure.kind == core::FigureKind::counter) json[std::string{figure.name}] = stats.*figure.member;
    }
}

}  // namespace

void print_report(const Results& results) {
    std::printf("\npopulate: %s pages in %s\n", display::format_count(results.populated).c_str(),
                display::format_seconds(results.populate_seconds).c_str());
    print_phase(results.populate, results.populate_seconds);
    std::printf("\nstorm: %s\n", display::format_seconds(results.storm_seconds).c_str());
    print_row("operations", results.visits.done(), results.storm_seconds);
    std::printf("   %s reads, %s rewrites\n", display::format_count(results.visits.reads).c_str(),
                display::format_count(results.visits.rewrites).c_str());
    print_phase(results.storm, results.storm_seconds);
    std::printf("\nmemory: peak RSS %s of the whole process, limit %s for pages\n",
                display::format_bytes(results.peak_resident).c_str(),
                display::format_bytes(results.resident_limit).c_str());
    std::printf("checked: %s visits, then every page in %s\n", display::format_count(results.visits.done()).c_str(),
                display::format_seconds(results.verify_seconds).c_str());
}

std::string json_text(const Options& options, const Results& results) {
    const PagerStats& storm = results.storm;
    const double populate_us =
        results.populated > 0 ? results.populate_seconds * 1e6 / static_cast<double>(results.populated) : 0.0;
    display::Json json{{"program", "swap_storm"},
                       {"delivery", name(results.delivery)},
                       {"eviction", name(results.eviction)},
                       {"replacement", options.pager.replacement},
                       {"mode", options.mode_name},
                       {"threads", options.threads},
                       {"seed", options.seed},
                       {"pages", results.pages},
                       {"page_size", results.page_size},
                       {"resident_limit_bytes", results.resident_limit},
                       {"peak_rss_bytes", results.peak_resident},
                       {"populate_seconds", display::rounded(results.populate_seconds)},
                       {"populate_us_per_page", display::rounded(populate_us)},
                       {"storm_seconds", display::rounded(results.storm_seconds)},
                       {"operations", results.visits.done()},
                       {"ops_per_s", display::rounded(per_second(results.visits.done(), results.storm_seconds))},
                       {"faults_per_s", display::rounded(per_second(total_faults(storm), results.storm_seconds))}};
    add_counters(json, storm);
    add_quantiles(json, "first_touch", results.populate.first_touch_latency);
    add_quantiles(json, "hard", storm.hard_latency);
    add_quantiles(json, "soft", storm.soft_latency);
    add_quantiles(json, "write", storm.write_latency);
    json["mismatches"] = results.mismatches;
    return display::json_text(json);
}

}  // namespace faultline::demo::storm
