// policy_replay: replays page traces under replacement policies. See bench/README.md. Exit status: 0 done; 1 a file
// could not be read or written; CLI11's status for a bad command line.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "policy_replay/options.hpp"
#include "policy_replay/report.hpp"
#include "policy_replay/results.hpp"
#include "replay/contestants.hpp"
#include "replay/trace_reader.hpp"
#include "trace/trace_writer.hpp"

namespace bench {
namespace {

constexpr std::size_t kDefaultFrames = 1024;
constexpr std::uint64_t kSeedDistance = 1000;  // from one suite to the next

std::vector<const Contestant*> chosen_contestants(const Options& options) {
    std::vector<const Contestant*> chosen;
    for (const Contestant& one : contestants()) {
        const auto& wanted = options.policies;
        if (wanted.empty() || std::find(wanted.begin(), wanted.end(), one.name) != wanted.end()) chosen.push_back(&one);
    }
    return chosen;
}

void replay_under_all(const Options& options, const std::vector<PageReference>& references, TraceResult trace,
                      Results& results) {
    const DenseTrace dense = renumbered(references);
    trace.pages = dense.pages;
    if (trace.frames == 0) trace.frames = std::max<std::size_t>(2, trace.pages / 4);
    const PagerSettings settings{.frames = trace.frames,
                                 .evictor = options.evictor,
                                 .frame_of_staged = options.frame_of_staged,
                                 .protected_block = options.protected_block};
    const std::size_t warm_up = dense.references.size() * options.warm_up / 100;
    for (const Contestant* policy : results.policies) {
        trace.counts.push_back(replay(*policy->make(dense, settings), dense, warm_up));
    }
    results.traces.push_back(std::move(trace));
}

Results replay_suite(const Options& options, Suite suite) {
    Results results{chosen_contestants(options), {}};
    const std::uint64_t seed = options.seed + kSeedDistance * static_cast<std::uint64_t>(suite);
    const WorkloadScale scale{options.frames.value_or(kDefaultFrames), options.references};
    for (const Workload& workload : workloads()) {
        const auto& wanted = options.workloads;
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), workload.name) == wanted.end()) continue;
        TraceResult trace{std::string{name(suite)}, std::string{workload.name}, seed, scale.frames, 0, 0, {}};
        replay_under_all(options, workload.generate(scale, seed, suite), std::move(trace), results);
    }
    return results;
}

Results replay_files(const Options& options) {
    Results results{chosen_contestants(options), {}};
    for (const std::filesystem::path& path : options.traces) {
        const Trace read = read_trace(path);
        TraceResult trace{"file", path.filename().string(), 0, options.frames.value_or(0), 0, read.lost, {}};
        replay_under_all(options, read.references, std::move(trace), results);
    }
    return results;
}

using WriteResults = void (*)(std::ostream&, const Options&, const Results&);

void write_file(const std::filesystem::path& path, WriteResults write, const Options& options, const Results& results) {
    if (path.empty()) return;
    std::ofstream file{path};
    write(file, options, results);
    if (!file.flush()) throw std::runtime_error{"cannot write " + path.string()};
}

void replay_all(const Options& options) {
    print_conditions(options);
    Results all{chosen_contestants(options), {}};
    const auto take = [&](Results results) {
        print_suite(options, results);
        std::move(results.traces.begin(), results.traces.end(), std::back_inserter(all.traces));
    };
    if (!options.traces.empty()) {
        take(replay_files(options));
    } else {
        for (const Suite suite : options.suites) take(replay_suite(options, suite));
    }
    write_file(options.json, write_json, options, all);
    write_file(options.csv, write_csv, options, all);
}

void import(const Options& options) {
    const bool from_standard_input = options.import_lackey == "-";
    std::ifstream file;
    if (!from_standard_input) {
        file.open(options.import_lackey);
        if (!file) throw std::runtime_error{"cannot open " + options.import_lackey.string()};
    }
    const auto page_bytes = static_cast<std::uint32_t>(options.page_bytes);  // at most 1 GiB
    faultline::trace::TraceWriter writer{options.output, page_bytes};
    const LackeyImport imported =
        import_lackey(from_standard_input ? std::cin : file, page_bytes, options.instructions,
                      [&](PageReference reference) { writer.append(reference.page, reference.write); });
    writer.finish();
    std::printf("%s: %llu references of %llu accesses; %llu lines were not lackey's\n", options.output.c_str(),
                static_cast<unsigned long long>(imported.references),
                static_cast<unsigned long long>(imported.accesses),
                static_cast<unsigned long long>(imported.skipped_lines));
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    const bench::Options options = bench::parse_options(argc, argv);
    try {
        if (!options.import_lackey.empty()) {
            bench::import(options);
        } else {
            bench::replay_all(options);
        }
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "policy_replay: %s\n", error.what());
        return 1;
    }
}
