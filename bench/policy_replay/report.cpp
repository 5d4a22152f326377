#include "policy_replay/report.hpp"

#include <algorithm>
#include <cstdio>

namespace bench {
namespace {

constexpr std::size_t kNameWidth = 12;
constexpr int kColumnWidth = 9;
constexpr int kSoftWidth = 6;

const char* name(FrameOfStaged kind) {
    switch (kind) {
        case FrameOfStaged::moves:
            return "moves";
        case FrameOfStaged::copied:
            return "copied";
        case FrameOfStaged::stays:
            return "stays";
    }
    return "";
}

// Names of trace files may be longer than those of workloads.
void print_trace_name(const Results& results, const char* name) {
    std::size_t width = kNameWidth;
    for (const TraceResult& trace : results.traces) width = std::max(width, trace.trace.size());
    std::printf("%-*s", static_cast<int>(width), name);
}

void print_names(const char* title, const Results& results, bool with_soft) {
    std::printf("\n%s\n", title);
    print_trace_name(results, "trace");
    for (const Contestant* policy : results.policies) {
        std::printf(" %*s", std::max(kColumnWidth, static_cast<int>(policy->name.size())), policy->name.c_str());
        if (with_soft && policy->policy) std::printf(" %*s", kSoftWidth, "soft");
    }
    std::printf("\n");
}

void print_value(const Contestant& policy, double value) {
    std::printf(" %*.2f", std::max(kColumnWidth, static_cast<int>(policy.name.size())), value);
}

double soft_per_thousand(const ReplayCounts& counts) {
    return counts.references == 0
               ? 0
               : 1000.0 * static_cast<double>(counts.soft_faults) / static_cast<double>(counts.references);
}

void print_hit_rates(const Results& results) {
    print_names("Hit rate in percent, and soft faults per 1000 references", results, true);
    for (const TraceResult& trace : results.traces) {
        print_trace_name(results, trace.trace.c_str());
        for (std::size_t i = 0; i < trace.counts.size(); ++i) {
            print_value(*results.policies[i], 100.0 * trace.counts[i].hit_rate());
            if (results.policies[i]->policy) {
                std::printf(" %*.0f", kSoftWidth, soft_per_thousand(trace.counts[i]));
            }
        }
        std::printf("\n");
    }
}

void print_costs(const char* title, const Results& results, const CostModel& costs) {
    print_names(title, results, false);
    std::vector<double> sums(results.policies.size());
    for (const TraceResult& trace : results.traces) {
        print_trace_name(results, trace.trace.c_str());
        for (std::size_t i = 0; i < trace.counts.size(); ++i) {
            const double cost = costs.per_reference(trace.counts[i]);
            sums[i] += cost;
            print_value(*results.policies[i], cost);
        }
        std::printf("\n");
    }
    if (results.traces.size() < 2) return;
    print_trace_name(results, "mean");
    for (std::size_t i = 0; i < sums.size(); ++i) {
        print_value(*results.policies[i], sums[i] / static_cast<double>(results.traces.size()));
    }
    std::printf("\n");
}

}  // namespace

void print_conditions(const Options& options) {
    std::printf(
        "opt, lru, clock, fifo and s3_fifo see every reference; pager/... see faults only, in faultline's pager\n"
        "(evictor: %s; the frame of a staged page %s).\n",
        options.evictor == EvictorKind::background ? "background" : "faulting thread", name(options.frame_of_staged));
    std::printf("Hit: nothing was read from the store. The first %u%% of the references are not counted.\n",
                options.warm_up);
    std::printf(
        "Cost: hard faults x %g us (file store) or %g us (compressed), soft faults x %g us, pages taken off the\n"
        "view x %g us. First touches and writes to the store are not in it.\n",
        options.file_us, options.compressed_us, options.soft_us, options.unmap_us);
    if (options.protected_block == 0) return;
    std::printf(
        "pager/...: eviction write-protects %zu pages around each victim; a write to one of them costs %g us.\n",
        options.protected_block, options.protection_us);
}

void print_suite(const Options& options, const Results& results) {
    if (results.traces.empty()) return;
    const TraceResult& first = results.traces.front();
    if (first.suite == "file") {
        std::printf("\n== trace files\n");
        for (const TraceResult& trace : results.traces) {
            std::printf("%s: %zu pages, %zu frames", trace.trace.c_str(), trace.pages, trace.frames);
            if (trace.lost > 0) {
                std::printf("; %llu references more were lost when it was recorded",
                            static_cast<unsigned long long>(trace.lost));
            }
            std::printf("\n");
        }
    } else {
        std::printf("\n== %s suite: seed %llu, %zu references, %zu frames\n", first.suite.c_str(),
                    static_cast<unsigned long long>(first.seed), options.references, first.frames);
    }
    print_hit_rates(results);
    print_costs("Cost with a file store, us per reference", results, file_costs(options));
    print_costs("Cost with a compressed store, us per reference", results, compressed_costs(options));
    std::fflush(stdout);
}

}  // namespace bench
