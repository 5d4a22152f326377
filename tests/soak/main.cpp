// soak: rounds of random configurations and random operations, compared with ordinary memory. It finds errors that
// happen once in millions of operations, and is not part of the ordinary test run. A round's seed determines what each
// of its threads does, but not how the threads interleave.
#include "soak/configuration.hpp"
#include "soak/findings.hpp"
#include "soak/hang_alarm.hpp"
#include "soak/progress.hpp"
#include "soak/round.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::soak {
namespace {

constexpr const char* kUsage =
    "soak [--minutes N] [--seed N] [--round-seed N]\n"
    "\n"
    "  --minutes N      how long to run (15)\n"
    "  --seed N         the seed of the run (random)\n"
    "  --round-seed N   run only the round with this seed, which an earlier run printed, repeatedly\n";

constexpr std::chrono::milliseconds kRound{3000};
constexpr unsigned kRoundPatienceSeconds = 180;

struct Options {
    double minutes = 15;
    std::uint64_t seed = std::random_device{}();
    std::optional<std::uint64_t> round_seed;
};

template <typename Number>
bool parse(std::string_view text, Number& into) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc{} && stop == text.data() + text.size();
}

std::optional<Options> parse_options(const std::vector<std::string_view>& arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); i += 2) {
        if (i + 1 == arguments.size()) return std::nullopt;
        const std::string_view option = arguments[i];
        const std::string_view value = arguments[i + 1];
        bool good = false;
        if (option == "--minutes") good = parse(value, options.minutes);
        if (option == "--seed") good = parse(value, options.seed);
        if (option == "--round-seed") good = parse(value, options.round_seed.emplace());
        if (!good) return std::nullopt;
    }
    return options;
}

int run(const Options& options) {
    const std::vector<Mechanism> mechanisms = usable_mechanisms();
    std::printf("soak: %g minutes, seed %llu, %zu mechanisms\n", options.minutes,
                static_cast<unsigned long long>(options.seed), mechanisms.size());
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    const std::chrono::duration<double> length{options.minutes * 60};
    std::mt19937_64 seeds{options.seed};
    Findings findings;
    const Progress progress;
    std::uint64_t rounds = 0;
    std::uint64_t operations = 0;
    while (!findings.any() && Clock::now() - start < length) {
        const std::uint64_t seed = options.round_seed.value_or(seeds() >> 16);
        const Configuration configuration = random_configuration(mechanisms, seed);
        const std::string text = configuration.text();
        progress.round_began(++rounds, text);
        const HangAlarm alarm{text, kRoundPatienceSeconds};
        const std::uint64_t done = run_round(configuration, kRound, findings);
        operations += done;
        progress.round_ended(rounds, done, (Clock::now() - start) / length);
        if (findings.any()) std::fprintf(stderr, "found in: %s\n", text.c_str());
    }
    progress.finish();
    std::printf("%llu rounds, %llu operations, %llu mismatches; seed %llu\n", static_cast<unsigned long long>(rounds),
                static_cast<unsigned long long>(operations), static_cast<unsigned long long>(findings.mismatches()),
                static_cast<unsigned long long>(options.seed));
    return findings.any() ? 1 : 0;
}

}  // namespace
}  // namespace faultline::soak

int main(int argc, char** argv) {
    const auto options = faultline::soak::parse_options({argv + 1, argv + argc});
    if (!options) {
        std::fputs(faultline::soak::kUsage, stderr);
        return 2;
    }
    try {
        return faultline::soak::run(*options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "soak: %s\n", error.what());
        return 1;
    }
}
