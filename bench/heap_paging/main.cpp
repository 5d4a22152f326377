// heap_paging: programs with more objects than memory, on a heap in managed memory and on glibc's heap under kernel
// swap. See bench/README.md.
#include "heap_paging/measured.hpp"
#include "heap_paging/options.hpp"
#include "heap_paging/programs.hpp"
#include "vs_kernel/cgroup.hpp"
#include "vs_kernel/interrupt.hpp"
#include "vs_kernel/journal.hpp"
#include "vs_kernel/leftovers.hpp"
#include "vs_kernel/swap_device.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace bench {
namespace {

constexpr int kExitCannotRun = 77;
constexpr int kExitSignal = 128;

double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

/// Returns the median of `of` over the rounds; NaN if no round finished.
template <typename Of>
double median(const std::vector<Measured>& rounds, Of of) {
    std::vector<double> values;
    for (const Measured& one : rounds) values.push_back(of(one));
    std::sort(values.begin(), values.end());
    if (values.empty()) return std::nan("");
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// The cgroup and swap area for both systems. Set up by the constructor, removed by the destructor.
class Run {
public:
    Run(const PagingOptions& options, const Interrupt& interrupt) : options_{options}, interrupt_{interrupt} {
        remove_leftovers(journal_);
    }

    void working_set(unsigned factor) {
        const std::size_t bytes = factor * options_.limit_bytes;
        std::printf("\nobjects of %.0f MiB, %ux the limit: operations a second, medians of %u rounds\n", mib(bytes),
                    factor, options_.rounds);
        std::printf("%-12s %12s %12s %8s\n", "", "faultline", "kernel swap", "ratio");
        const auto results = take_turns(bytes, [&](const Allocator& allocator, Measured& measured) {
            measured.phases = live_with(allocator, bytes, options_.lookups);
        });
        double logarithms = 0;
        for (std::size_t i = 0; i < kPhases; ++i) {
            const auto rate = [i](const Measured& one) {
                return static_cast<double>(one.phases[i].operations) / one.phases[i].seconds;
            };
            const double ours = median(results[0], rate);
            const double theirs = median(results[1], rate);
            std::printf("%-12s %12.0f %12.0f %7.2fx   %s\n", kPhaseNames[i].name, ours, theirs, ours / theirs,
                        kPhaseNames[i].what);
            logarithms += std::log(ours / theirs);
        }
        std::printf("geometric mean of the ratios: %.2fx\n", std::exp(logarithms / kPhases));
        print_whole(results);
    }

    void mostly_freed() {
        const unsigned generations = options_.smoke ? 2 : 8;
        const std::size_t bytes = 2 * options_.limit_bytes;
        std::printf("\n%u generations of objects of %.0f MiB, of which one in 32 stays\n", generations, mib(bytes));
        std::printf("%-12s %12s %12s %8s\n", "", "faultline", "kernel swap", "ratio");
        const auto results = take_turns(bytes * 3 / 2, [&](const Allocator& allocator, Measured& measured) {
            measured.allocated = free_most(allocator, bytes, generations);
        });
        std::printf("%-12s %12.0f %12.0f\n", "allocated", mib(results[0][0].allocated), mib(results[0][0].allocated));
        print_whole(results);
    }

private:
    using Results = std::array<std::vector<Measured>, kSystems.size()>;

    Results take_turns(std::size_t bytes, const Program& program) {
        const std::size_t theirs = bytes + bytes / 4;  // glibc's block headers, and gaps between blocks
        const MemoryCgroup cgroup{journal_, options_.limit_bytes + table_bytes(theirs) + cgroup_allowance(theirs)};
        const SwapFile swap{journal_, options_.swap_directory, swap_bytes_for(theirs)};
        Results results;
        for (unsigned round = 0; round < options_.rounds; ++round) {
            for (const System system : kSystems) {
                if (const auto measured = measured_at_last(system, cgroup, program)) {
                    results[static_cast<std::size_t>(system)].push_back(*measured);
                }
            }
        }
        return results;
    }

    /// Under a small limit the kernel sometimes kills a process although there is swap space left. Returns nothing if
    /// it does so in every attempt.
    std::optional<Measured> measured_at_last(System system, const MemoryCgroup& cgroup, const Program& program) {
        const int attempts = options_.smoke ? 1 : 4;
        for (int attempt = 0; attempt < attempts; ++attempt) {
            try {
                return measure(system, options_, cgroup, interrupt_, program);
            } catch (const std::runtime_error& error) {
                if (system == System::faultline) throw;
                std::printf("(not finished: %s)\n", error.what());
            }
        }
        return std::nullopt;
    }

    static void print_whole(const Results& results) {
        const auto print = [&](const char* name, const auto& of) {
            const double ours = median(results[0], of);
            const double theirs = median(results[1], of);
            std::printf("%-12s %12.2f %12.2f %7.2fx\n", name, ours, theirs, theirs / ours);
        };
        print("seconds", [](const Measured& one) { return one.seconds; });
        print("MiB written", [](const Measured& one) { return mib(one.bytes_written); });
        print("MiB read", [](const Measured& one) { return mib(one.bytes_read); });
        std::fflush(stdout);
    }

    const PagingOptions& options_;
    const Interrupt& interrupt_;
    Journal journal_;
};

int run(const PagingOptions& options) {
    if (::geteuid() != 0) {
        std::fprintf(stderr, "heap_paging: a memory cgroup and a swap area need root\n");
        return kExitCannotRun;
    }
    const Interrupt interrupt;
    Run run{options, interrupt};
    std::printf("limit: %.0f MiB\n", mib(options.limit_bytes));
    for (const unsigned factor : options.factors) {
        if (factor > 0) run.working_set(factor);
    }
    run.mostly_freed();
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    bench::PagingOptions options;
    if (const int code = bench::parse(argc, argv, options); code >= 0) return code;
    try {
        return bench::run(options);
    } catch (const bench::Interrupted& interrupted) {
        std::fprintf(stderr, "heap_paging: interrupted, all set-up undone\n");
        return bench::kExitSignal + interrupted.signal();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "heap_paging: %s\n", error.what());
        return 1;
    }
}
