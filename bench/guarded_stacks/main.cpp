// guarded_stacks: the costs of stacks in managed memory. See bench/README.md.
#include <faultline/alternate_stack.hpp>
#include <faultline/faultline.hpp>

#include <boost/context/fiber.hpp>
#include <boost/context/stack_context.hpp>

#include <alloca.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "guarded_stacks/options.hpp"

namespace bench {
namespace {

using boost::context::fiber;
using faultline::GuardedStack;
using faultline::Pager;
using faultline::StackPool;
using Stacks = faultline::FiberStackAllocator<boost::context::stack_context>;

class Stopwatch {
public:
    [[nodiscard]] double nanoseconds() const {
        return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void say(const char* what, double nanoseconds) { std::printf("%-58s %10.0f ns\n", what, nanoseconds); }

/// Runs `body(i)` many times and prints the time of one run.
template <typename Body>
void measure(const char* what, std::size_t repetitions, Body body) {
    const Stopwatch watch;
    for (std::size_t i = 0; i < repetitions; ++i) body(i);
    say(what, watch.nanoseconds() / static_cast<double>(repetitions));
}

/// Returns the number of a line such as "VmRSS:   123 kB" of /proc/self/status, in bytes.
double status_bytes(const std::string& field) {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.rfind(field + ":", 0) == 0) return std::stod(line.substr(field.size() + 1)) * 1024;
    }
    return 0;
}

[[gnu::noinline]] std::uint64_t descend_for_ever(volatile std::uint64_t* above) {
    volatile std::uint64_t here = above == nullptr ? 1 : *above + 1;
    return here == 0 ? 0 : descend_for_ever(&here) + here;
}

// ---- single steps

void measure_steps(Pager& pager, const StackOptions& options) {
    const std::size_t times = options.repetitions;
    {
        StackPool pool{pager, {.stack_bytes = options.stack_bytes, .stacks = times}};
        std::vector<GuardedStack> stacks(times);
        measure("take a stack for the first time, with its guard", times,
                [&](std::size_t i) { stacks[i] = pool.take(); });
        measure("give it back, unused", times, [&](std::size_t i) { stacks[i] = {}; });
        measure("take one that was given back", times, [&](std::size_t i) { stacks[i] = pool.take(); });
    }
    StackPool pool{pager, {.stack_bytes = 2 * faultline::kBasePageBytes, .stacks = 2}};
    GuardedStack stack = pool.take();
    measure("run() of nothing, on a thread without AlternateStack", times,
            [&](std::size_t) { static_cast<void>(stack.run([] {})); });
    const faultline::AlternateStack alternate;
    measure("run() of nothing", times, [&](std::size_t) { static_cast<void>(stack.run([] {})); });
    std::size_t survived = 0;
    measure("run() of an overflow of 8 KiB, and its recovery", times,
            [&](std::size_t) { survived += stack.run([] { descend_for_ever(nullptr); }).has_value() ? 1U : 0U; });
    if (survived != times) std::printf("only %zu of %zu overflows were seen\n", survived, times);
    fiber echo{std::allocator_arg, Stacks{pool}, [](fiber&& main) {
                   for (;;) main = std::move(main).resume();
                   return std::move(main);
               }};
    measure("resume a fiber that is resident, there and back", times,
            [&](std::size_t) { echo = std::move(echo).resume(); });
}

// ---- many fibers

struct Checks {
    std::uint64_t wrong = 0;
    std::uint64_t resumed = 0;
};

/// Keeps `words` values on its stack while it sleeps.
fiber keep_and_check(fiber&& main, std::size_t words, std::uint64_t seed, Checks& checks) {
    auto* const kept = static_cast<volatile std::uint64_t*>(alloca(words * sizeof(std::uint64_t)));
    for (std::size_t i = 0; i < words; ++i) kept[i] = seed + i;
    for (;;) {
        main = std::move(main).resume();
        ++checks.resumed;
        for (std::size_t i = 0; i < words; ++i) checks.wrong += kept[i] != seed + i ? 1U : 0U;
    }
}

int run_fibers(Pager& pager, const StackOptions& options) {
    const double before = status_bytes("VmRSS");
    const double tables_before = status_bytes("VmPTE");
    StackPool pool{pager, {.stack_bytes = options.stack_bytes, .stacks = options.fibers}};
    const faultline::AlternateStack alternate;
    const std::size_t words = options.used_bytes / sizeof(std::uint64_t);
    const auto count = static_cast<double>(options.fibers);
    std::printf("\n%zu fibers with %zu KiB of stack each, %zu bytes in use, limit %zu MiB, delivery %s\n",
                options.fibers, options.stack_bytes >> 10, options.used_bytes, options.limit_bytes >> 20,
                to_string(pager.delivery()));
    Checks checks;
    std::vector<fiber> fibers;
    fibers.reserve(options.fibers);
    Stopwatch watch;
    for (std::size_t i = 0; i < options.fibers; ++i) {
        fibers.emplace_back(std::allocator_arg, Stacks{pool}, [words, i, &checks](fiber&& main) {
            return keep_and_check(std::move(main), words, i * 1'000'003, checks);
        });
        fibers.back() = std::move(fibers.back()).resume();
    }
    say("make one and let it sleep", watch.nanoseconds() / count);
    for (std::size_t round = 0; round < options.rounds; ++round) {
        watch = {};
        for (fiber& each : fibers) each = std::move(each).resume();
        say("resume each and let it sleep again, per fiber", watch.nanoseconds() / count);
    }
    const faultline::RegionStats stats = pool.stats();
    const auto per_fiber = [&](double bytes) { return bytes / count; };
    std::printf(
        "resident %.1f MiB, swapped out %.1f MiB (%.0f%% of the pages), hard faults %llu, evictions %llu\n",
        double(stats.resident_bytes) / 1048576, double(stats.swapped_bytes) / 1048576,
        100 * double(stats.swapped_bytes) / double(stats.swapped_bytes + stats.resident_bytes + stats.staged_bytes),
        static_cast<unsigned long long>(stats.hard_faults), static_cast<unsigned long long>(stats.evictions));
    std::printf("memory per sleeping fiber: %.0f bytes in all, of which %.0f are within the limit; page tables %.0f\n",
                per_fiber(status_bytes("VmRSS") - before), per_fiber(double(pager.stats().frames_used)),
                per_fiber(status_bytes("VmPTE") - tables_before));
    watch = {};
    fibers.clear();
    say("end one that sleeps (it is unwound)", watch.nanoseconds() / count);
    const bool right = checks.wrong == 0 && checks.resumed == options.fibers * options.rounds;
    std::printf("%llu resumed, %llu words wrong\n", static_cast<unsigned long long>(checks.resumed),
                static_cast<unsigned long long>(checks.wrong));
    return right ? 0 : 1;
}

int run(const StackOptions& options) {
    faultline::Config config;
    config.resident_limit = options.limit_bytes;
    config.compressed_limit = options.compressed_bytes;
    config.delivery = options.delivery;
    config.swap_directory = options.swap_directory;
    Pager pager{config};
    measure_steps(pager, options);
    return run_fibers(pager, options);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    bench::StackOptions options;
    const int code = bench::parse(argc, argv, options);
    if (code >= 0) return code;
    try {
        return bench::run(options);
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "guarded_stacks: %s\n", error.what());
        return error.code() == std::errc::operation_not_permitted ? 77 : 1;
    }
}
