// fault_latency: the cost of one page fault in this library, in the kernel, and in the bare mechanisms between the two.
// See bench/README.md. The cases are in support/; this file has the command line.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/latency_cases.hpp"

namespace {

constexpr const char* kHelp =
    "What one page fault costs: faultline, the kernel alone, and the bare mechanisms.\n"
    "\n"
    "  --smoke            few pages, the shortest time: whether it works, not how fast\n"
    "  --json=FILE        write the results to this file, too\n"
    "  --swap-dir=DIR     where swap files go, and the file that pread reads (/var/tmp)\n"
    "  --help             this text, then the options of Google Benchmark\n"
    "\n"
    "Time is per touch with all threads together; p50_us and p99_us are of one touch. Of faultline's cases the\n"
    "counters first, hard, soft and write are faults per touch. Compare within one run only, best with\n"
    "  --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true --benchmark_report_aggregates_only=true\n"
    "\n";

struct CommandLine {
    bench::LatencyOptions options;
    std::string json;                  // empty, or Google Benchmark's option for a JSON file
    std::vector<char*> for_benchmark;  // argv without our own options
};

// Our options precede the user's: of two equal options Google Benchmark takes the last.
CommandLine parse(int argc, char** argv, char* default_time, char* smoke_time) {
    constexpr std::string_view kSwapDir = "--swap-dir=";
    constexpr std::string_view kJson = "--json=";
    CommandLine line;
    std::vector<char*> rest;
    for (char* const argument : std::vector<char*>(argv + 1, argv + argc)) {
        const std::string_view text{argument};
        if (text == "--help") std::fputs(kHelp, stdout);
        if (text == "--smoke") {
            line.options.smoke = true;
        } else if (text.substr(0, kSwapDir.size()) == kSwapDir) {
            line.options.directory = text.substr(kSwapDir.size());
        } else if (text.substr(0, kJson.size()) == kJson) {
            line.json = "--benchmark_out=" + std::string{text.substr(kJson.size())};  // the default format is JSON
        } else {
            rest.push_back(argument);
        }
    }
    line.for_benchmark = {argv[0], line.options.smoke ? smoke_time : default_time};
    line.for_benchmark.insert(line.for_benchmark.end(), rest.begin(), rest.end());
    return line;
}

}  // namespace

int main(int argc, char** argv) {
    char default_time[] = "--benchmark_min_time=0.2";
    char smoke_time[] = "--benchmark_min_time=0.0001";
    CommandLine line = parse(argc, argv, default_time, smoke_time);
    std::error_code ignored;
    if (!std::filesystem::is_directory(line.options.directory, ignored)) {
        std::fprintf(stderr, "fault_latency: no directory %s\n", line.options.directory.c_str());
        return 1;
    }
    if (!line.json.empty()) line.for_benchmark.insert(line.for_benchmark.begin() + 1, line.json.data());
    int count = static_cast<int>(line.for_benchmark.size());
    line.for_benchmark.push_back(nullptr);
    benchmark::Initialize(&count, line.for_benchmark.data());
    if (benchmark::ReportUnrecognizedArguments(count, line.for_benchmark.data())) return 1;
    bench::register_kernel_cases(line.options);
    bench::register_faultline_cases(line.options);
    bench::register_bare_signal_cases(line.options);
    bench::register_bare_thread_cases(line.options);
    bench::register_direct_cases(line.options);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
