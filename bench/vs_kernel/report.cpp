// Two tables per pairing: how fast (with the ratio), and what it took. Every figure is the median of the rounds.
#include "vs_kernel/report.hpp"

#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "vs_kernel/cgroup.hpp"

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

std::string bytes_text(std::uint64_t bytes) {
    const double mebibytes = static_cast<double>(bytes) / (1 << 20);
    return mebibytes >= 1024 ? format("%.4g GiB", mebibytes / 1024) : format("%.4g MiB", mebibytes);
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

// "1.23x", green where faultline is ahead, red where it is behind.
std::string ratio_text(double ours, double theirs) {
    if (ours <= 0 || theirs <= 0) return format("%9s", "-");
    const double ratio = ours / theirs;
    const std::string text = format(ratio < 1000 ? " %7.2fx" : " %7.0fx", ratio);
    if (!colours_wanted()) return text;
    return (ours >= theirs ? "\x1b[32m" : "\x1b[31m") + text + "\x1b[0m";
}

// Columns: ops/s, spread, p50, p99, p99.9.
std::string speed_columns(const std::vector<Round>& rounds) {
    if (rounds.empty()) return format(" %9s %6s %8s %8s %8s", "-", "-", "-", "-", "-");
    return format(" %9s %5.0f%% %8.2f %8.1f %8.1f", count_text(median_of(rounds, &Round::ops_per_s)).c_str(),
                  spread_of(rounds, &Round::ops_per_s) * 100, median_of(rounds, &Round::p50_us),
                  median_of(rounds, &Round::p99_us), median_of(rounds, &Round::p999_us));
}

std::string cost_columns(const std::vector<Round>& rounds) {
    if (rounds.empty()) return format(" %10s %10s %10s", "-", "-", "-");
    const double operations = median_of(rounds, &Round::operations);
    return format(" %10.3f %10.3f %10.2f", median_of(rounds, &Round::hard_faults) / operations,
                  median_of(rounds, &Round::soft_faults) / operations,
                  median_of(rounds, &Round::cpu_s) / operations * 1e6);
}

const SystemResult* peer_of(const Pairing& pairing) {
    return pairing.theirs.empty() ? nullptr : &pairing.theirs.front();
}

void print_speed(const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    const char* const columns = "     ops/s spread   p50 us   p99 us p99.9 us";
    std::printf("%-9s%-45s", "", " faultline");
    if (peer != nullptr) std::printf(" | %-43s", peer->name.c_str());
    std::printf("\n%-9s%s", "mode", columns);
    if (peer != nullptr) std::printf(" |%s    ratio", columns + 1);
    std::printf("\n");
    for (std::size_t i = 0; i < pairing.ours.modes.size(); ++i) {
        const ModeResult& ours = pairing.ours.modes[i];
        std::printf("%-9s%s", ours.mode.name, speed_columns(ours.rounds).c_str());
        if (peer != nullptr) {
            const std::vector<Round>& theirs = peer->modes[i].rounds;
            std::printf(
                " |%s%s", speed_columns(theirs).c_str() + 1,
                ratio_text(median_of(ours.rounds, &Round::ops_per_s), median_of(theirs, &Round::ops_per_s)).c_str());
        }
        std::printf("\n");
    }
    std::printf("%-9s %9.2f us/page%27s", "populate", pairing.ours.populate_us_per_page, "");
    if (peer != nullptr) {
        // Time, not speed: the ratio is turned round so that above 1 is faultline ahead, as in the lines above.
        std::printf(" | %8.2f us/page%27s%s", peer->populate_us_per_page, "",
                    ratio_text(peer->populate_us_per_page, pairing.ours.populate_us_per_page).c_str());
    }
    std::printf("\n\n");
}

void print_cost(const Pairing& pairing) {
    const SystemResult* const peer = peer_of(pairing);
    const char* const columns = "    hard/op    soft/op  cpu us/op";
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

void print_conditions(const Options& options) {
    std::printf("Region %s, %s resident, %u thread%s, %u round%s of %.3g s; medians, spread is half of max - min.\n",
                bytes_text(options.size).c_str(), bytes_text(options.resident).c_str(), options.threads,
                options.threads == 1 ? "" : "s", options.rounds, options.rounds == 1 ? "" : "s", options.seconds);
    std::printf("Kernel peers: cgroup limit %s, %s of that for the process and its page tables.\n",
                bytes_text(options.resident + cgroup_allowance(options.size)).c_str(),
                bytes_text(cgroup_allowance(options.size)).c_str());
    std::printf("CPU time is that of the process; the kernel's own threads (kswapd, write-back) are not in it.\n");
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

}  // namespace bench
