// vs_kernel: faultline and the kernel's own paging at the same work under the same limit; see bench/README.md.
// Exit status: 0 measured and verified; 1 a page was wrong or faultline failed on the way; 77 faultline cannot run on
// this machine at all (the kernel or the user's rights); 128 + signal interrupted.
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "support/clock.hpp"
#include "vs_kernel/interrupt.hpp"
#include "vs_kernel/json.hpp"
#include "vs_kernel/leftovers.hpp"
#include "vs_kernel/options.hpp"
#include "vs_kernel/pairing.hpp"
#include "vs_kernel/report.hpp"

namespace bench {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitCannotRun = 77;
constexpr int kExitSignal = 128;

std::ofstream open_json(const std::filesystem::path& path) {
    std::ofstream file;
    if (path.empty()) return file;
    file.open(path);
    if (!file) throw std::runtime_error{"cannot write " + path.string()};
    return file;
}

// Null, with the reason told, when this run cannot set up any kernel peer.
std::unique_ptr<Journal> open_journal(const Options& options, Progress& progress) {
    if (options.peers.empty()) return nullptr;
    if (::geteuid() != 0) {
        progress.note("all peers skipped: a memory cgroup and a swap area need root");
        return nullptr;
    }
    try {
        auto journal = std::make_unique<Journal>();
        remove_leftovers(*journal);
        return journal;
    } catch (const std::exception& error) {
        progress.note(std::string{"all peers skipped: "} + error.what());
        return nullptr;
    }
}

std::unique_ptr<Peer> make_peer(const std::string& name, const Options& options, Journal& journal, Progress& progress) {
    progress.step("set up " + name);
    try {
        return std::make_unique<Peer>(name, options, journal);
    } catch (const std::exception& error) {
        progress.note(name + " skipped: " + error.what());
        return nullptr;
    }
}

// Swap areas of two peers are never on together: the kernel would fill one before it used the other.
std::vector<Pairing> run_all(const Options& options, const Interrupt& interrupt, Progress& progress) {
    std::vector<Pairing> pairings;
    const std::unique_ptr<Journal> journal = open_journal(options, progress);
    const auto run = [&](const Peer* peer) {
        pairings.push_back(run_pairing(options, peer, journal.get(), interrupt, progress));
        progress.clear();
        print_pairing(pairings.back());
    };
    for (const std::string& name : options.peers) {
        if (!journal) break;
        interrupt.check();
        if (const std::unique_ptr<Peer> peer = make_peer(name, options, *journal, progress)) run(peer.get());
    }
    if (pairings.empty()) run(nullptr);
    return pairings;
}

// A peer that did not finish is told in its table and is no failure of this run: under a small limit the kernel now and
// then kills a process although there is swap space left. A wrong page is a failure whoever lost it.
bool all_well(const std::vector<Pairing>& pairings) {
    for (const Pairing& pairing : pairings) {
        if (!pairing.ours.failure.empty() || !pairing.ours.verification.passed()) return false;
        for (const SystemResult& system : pairing.theirs) {
            if (!system.verification.passed()) return false;
        }
    }
    return true;
}

int run(const Options& options) {
    const Interrupt interrupt;
    Progress progress;
    TickScale::instance();  // measured here, inherited by every child
    std::ofstream json = open_json(options.json);
    print_conditions(options);
    const std::vector<Pairing> pairings = run_all(options, interrupt, progress);
    if (json.is_open()) {
        write_json(json, options, pairings);
        if (!json.flush()) throw std::runtime_error{"cannot write " + options.json.string()};
    }
    return all_well(pairings) ? 0 : kExitFailed;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    const bench::Options options = bench::parse_options(argc, argv);
    try {
        return bench::run(options);
    } catch (const bench::Interrupted& interrupted) {
        std::fprintf(stderr, "vs_kernel: interrupted, all set-up undone\n");
        return bench::kExitSignal + interrupted.signal();
    } catch (const bench::FaultlineUnavailable& failure) {
        std::fprintf(stderr, "vs_kernel: faultline: %s\n", failure.what());
        const bool not_here = failure.error() == EPERM || failure.error() == ENOSYS;
        return not_here ? bench::kExitCannotRun : bench::kExitFailed;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "vs_kernel: %s\n", error.what());
        return bench::kExitFailed;
    }
}
