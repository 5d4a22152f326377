// Two tables per pairing: how fast (with the ratio), and what it took. Every figure is the median of the rounds.
#include "vs_kernel/report.hpp"

#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace bench {
namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
    std::array<char, 256> text{};
    va_list arguments;
    va_start(arguments, pattern);
    std::vsnprintf(text.data(), text.size(), pattern, arguments);
    va_end(arguments);
    return text.data();
}

std::string count_text(double count) {
    if (count >= 1e6) return format("%.2fM", count / 1e6);
    if (count >= 1e3) return format("%.1fk", count / 1e3);
    return format("%.0f", count);
}

bool colours_wanted() {
    const char* const refused = std::getenv("NO_COLOR");
    return ::isatty(STDOUT_FILENO) == 1 && (refused == nullptr || *refused == '\0');
}

// "1.23x", green if faultline is faster, red if it is slower.
std::string ratio_text(double ours, double theirs) {
    if (ours <= 0 || theirs <= 0) return format("%9s", "-");
    const double ratio = ours / theirs;
    const std::string text = format(ratio < 1000 ? " %7.2fx" : " %7.0fx", ratio);
    if (!colours_wanted()) return text;
    return (ours >= theirs ? "\x1b[32m" : "\x1b[31m") + text + "\x1b[0m";
}

constexpr const char* kSpeedColumns = "     ops/s spread   p50 us   p99 us p99.9 us";

// A row of the table whose heads are `kSpeedColumns`.
std::string speed_columns(const std::vector<Round>& rounds) {
    if (rounds.empty()) return format(" %9s %6s %8s %8s %8s", "-", "-", "-", "-", "-");
    // One round has no spread.
    const std::string spread = rounds.size() == 1 ? "-" : format("%.0f%%", spread_of(rounds, &Round::ops_per_s) * 100);
    return format(" %9s %6s %8.2f %8.1f %8.1f", count_text(median_of(rounds, &Round::ops_per_s)).c_str(),
                  spread.c_str(), median_of(rounds, &Round::p50_us), median_of(rounds, &Round::p99_us),
                  median_of(rounds, &Round::p999_us));
}

std::string cost_columns(const std::vector<Round>& rounds) {
    if (rounds.empty()) return format(" %10s %10s %10s %10s", "-", "-", "-", "-");
    const double operations = median_of(rounds, &Round::operations);
    const double per_million = median_of(rounds, &Round::cpu_s_per_million_faults);
    return format(" %10.3f %10.3f %10.2f %10s", median_of(rounds, &Round::hard_faults) / operations,
                  median_of(rounds, &Round::soft_faults) / operations,
                  median_of(rounds, &Round::cpu_s) / operations * 1e6,
                  per_million > 0 ? format("%.1f", per_million).c_str() : "-");
}

std::string speed_ratio(const ModeResult& ours, const ModeResult& theirs) {
    return ratio_text(median_of(ours.rounds, &Round::ops_per_s), median_of(theirs.rounds, &Round::ops_per_s));
}

const SystemResult* peer_of(const Pairing& pairing) {
    return pairing.theirs.empty() ? nullptr : &pairing.theirs.front();
}

// One line per mode, each beginning with `start`.
void print_speed_rows(const std::string& start, const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    for (std::size_t i = 0; i < pairing.ours.modes.size(); ++i) {
        const ModeResult& ours = pairing.ours.modes[i];
        std::printf("%s%-9s%s", start.c_str(), ours.mode.name, speed_columns(ours.rounds).c_str());
        if (peer != nullptr) {
            const ModeResult& theirs = peer->modes[i];
            std::printf(" |%s%s", speed_columns(theirs.rounds).c_str() + 1, speed_ratio(ours, theirs).c_str());
        }
        std::printf("\n");
    }
}

void print_speed(const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    std::printf("%-9s%-45s", "", " faultline");
    if (peer != nullptr) std::printf(" | %-43s", peer->name.c_str());
    std::printf("\n%-9s%s", "mode", kSpeedColumns);
    if (peer != nullptr) std::printf(" |%s    ratio", kSpeedColumns + 1);
    std::printf("\n");
    print_speed_rows("", pairing);
    std::printf("\n");
}

void print_cost(const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    const char* const columns = "    hard/op    soft/op  cpu us/op cpu s/Mflt";
    std::printf("%-9s%s", "mode", columns);
    if (peer != nullptr) std::printf(" |%s", columns + 1);
    std::printf("\n");
    for (std::size_t i = 0; i < pairing.ours.modes.size(); ++i) {
        std::printf("%-9s%s", pairing.ours.modes[i].mode.name, cost_columns(pairing.ours.modes[i].rounds).c_str());
        if (peer != nullptr) std::printf(" |%s", cost_columns(peer->modes[i].rounds).c_str() + 1);
        std::printf("\n");
    }
}

void print_state(const SystemResult& system) {
    std::uint64_t peak = 0;
    for (const ModeResult& mode : system.modes) peak = std::max(peak, peak_rss_of(mode.rounds));
    std::printf("%s: peak RSS %s", system.name.c_str(), bytes_text(peak).c_str());
    if (system.memory_beside != 0) {
        std::printf(", and %s of compressed pages outside its limit", bytes_text(system.memory_beside).c_str());
    }
    if (system.restarts != 0) std::printf("; killed and started again: %u", system.restarts);
    if (!system.failure.empty()) {
        std::printf("; DID NOT FINISH: %s\n", system.failure.c_str());
        return;
    }
    const Verification& seen = system.verification;
    std::printf("; verified %llu pages, %llu mismatches", static_cast<unsigned long long>(seen.pages),
                static_cast<unsigned long long>(seen.mismatches));
    if (seen.missing_writes != 0) std::printf(", %lld WRITES LOST", static_cast<long long>(seen.missing_writes));
    std::printf("\n");
}

}  // namespace

std::string bytes_text(std::uint64_t bytes) {
    const double mebibytes = static_cast<double>(bytes) / (1 << 20);
    return mebibytes >= 1024 ? format("%.4g GiB", mebibytes / 1024) : format("%.4g MiB", mebibytes);
}

void print_conditions(const Options& options, const std::string& of_peers) {
    const std::string resident =
        options.sweep == Sweep::resident ? "a part of it resident" : bytes_text(options.resident) + " resident";
    const std::string threads = options.sweep == Sweep::threads
                                    ? "several threads"
                                    : format("%u thread%s", options.threads, options.threads == 1 ? "" : "s");
    std::printf("Region %s, %s, %s, %u round%s of %.3g s; medians, spread is half of max - min.\n",
                bytes_text(options.size).c_str(), resident.c_str(), threads.c_str(), options.rounds,
                options.rounds == 1 ? "" : "s", options.seconds);
    std::fputs(of_peers.c_str(), stdout);
}

void print_pairing(const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    std::printf("\nfaultline (%s)%s%s\n\n", pairing.ours.description.c_str(), peer != nullptr ? " against " : "",
                peer != nullptr ? peer->name.c_str() : "");
    print_speed(pairing);
    print_cost(pairing);
    std::printf("\n");
    print_state(pairing.ours);
    if (peer != nullptr) print_state(*peer);
    std::fflush(stdout);
}

void print_sweep_heading(const Options& options, const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    std::printf("\nfaultline (%s)%s%s\n\n", pairing.ours.description.c_str(), peer != nullptr ? " against " : "",
                peer != nullptr ? peer->name.c_str() : "");
    std::printf("%-9s%-9s%s", name(options.sweep), "mode", kSpeedColumns);
    if (peer != nullptr) std::printf(" |%s    ratio", kSpeedColumns + 1);
    std::printf("\n");
}

void print_sweep_point(const std::string& label, const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    print_speed_rows(format("%-9s", label.c_str()), pairing);
    for (const SystemResult* const system : {&pairing.ours, peer}) {
        if (system != nullptr && (!system->failure.empty() || !system->verification.passed())) print_state(*system);
    }
    std::fflush(stdout);
}

}  // namespace bench
