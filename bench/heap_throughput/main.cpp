// heap_throughput: compares a heap in managed memory with other allocators. See bench/README.md.
#include "heap_throughput/contestants.hpp"
#include "heap_throughput/options.hpp"
#include "heap_throughput/workloads.hpp"

#include <faultline/heap.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <exception>
#include <memory>
#include <system_error>
#include <vector>

namespace bench {
namespace {

struct OwnHeap {
    faultline::Pager pager;
    faultline::Heap heap;
};

faultline::Config config_of(const HeapOptions& options) {
    faultline::Config config;
    config.resident_limit = options.limit_bytes;
    config.delivery = options.delivery;
    return config;
}

Allocator own_heap(const HeapOptions& options) {
    faultline::Pager pager{config_of(options)};
    faultline::Heap heap{pager};
    const auto own = std::make_shared<OwnHeap>(OwnHeap{std::move(pager), std::move(heap)});
    Allocator made;
    made.name = "faultline";
    made.context = &own->heap;
    made.owned = own;
    made.allocate = [](void* context, std::size_t bytes) {
        return static_cast<faultline::Heap*>(context)->try_allocate(bytes);
    };
    made.reallocate = [](void* context, void* block, std::size_t bytes) {
        return static_cast<faultline::Heap*>(context)->try_reallocate(block, bytes);
    };
    made.deallocate = [](void* context, void* block) { static_cast<faultline::Heap*>(context)->deallocate(block); };
    return made;
}

std::vector<Allocator> contestants(const HeapOptions& options) {
    std::vector<Allocator> all{own_heap(options), c_library()};
    for (const std::string& peer : options.peers) {
        Allocator found = from_library(peer);
        if (found.allocate == nullptr) {
            std::printf("left out: %s\n", found.name.c_str());
        } else {
            all.push_back(std::move(found));
        }
    }
    return all;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double now(const HeapOptions& options) {
    timespec time{};
    ::clock_gettime(options.processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Returns millions of operations per second for each contestant, the median of the rounds.
std::vector<double> measure(const std::vector<Allocator>& all, const Workload& workload, const HeapOptions& options) {
    std::vector<std::vector<double>> rates(all.size());
    for (unsigned round = 0; round < options.rounds; ++round) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            const double start = now(options);
            const std::uint64_t done = workload.run(all[i], options.seconds, options.threads);
            rates[i].push_back(static_cast<double>(done) / (now(options) - start) / 1e6);
        }
    }
    std::vector<double> medians;
    for (const std::vector<double>& one : rates) medians.push_back(median(one));
    return medians;
}

int run(const HeapOptions& options) {
    const std::vector<Allocator> all = contestants(options);
    std::printf("millions of operations a second%s, medians of %u rounds\n%-15s",
                options.processor_time ? " of processor time" : "", options.rounds, "");
    for (const Allocator& one : all) std::printf(" %18s", one.name.c_str());
    std::printf(" %18s\n", "to the best other");
    double logarithms = 0;
    int rows = 0;
    for (const Workload& workload : workloads()) {
        if (!options.only.empty() && options.only != workload.name) continue;
        const std::vector<double> rates = measure(all, workload, options);
        std::printf("%-15s", workload.name);
        for (double rate : rates) std::printf(" %18.3f", rate);
        const double ratio = rates[0] / *std::max_element(rates.begin() + 1, rates.end());
        std::printf(" %17.2fx   %s\n", ratio, workload.what);
        std::fflush(stdout);
        logarithms += std::log(ratio);
        ++rows;
    }
    if (rows == 0) {
        std::fprintf(stderr, "no workload is called %s\n", options.only.c_str());
        return 2;
    }
    std::printf("geometric mean of the ratios: %.2fx\n", std::exp(logarithms / rows));
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    bench::HeapOptions options;
    if (const int code = bench::parse(argc, argv, options); code >= 0) return code;
    try {
        return bench::run(options);
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.code() == std::errc::operation_not_permitted ? 77 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
