// See run_all.hpp.
#include "vs_kernel/run_all.hpp"

#include <cstdio>

#include "support/clock.hpp"
#include "vs_kernel/json.hpp"
#include "vs_kernel/report.hpp"
#include "vs_kernel/sweep.hpp"

namespace bench {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitCannotRun = 77;
constexpr int kExitSignal = 128;

// Returns null, and prints the reason, if no peer can be had.
std::unique_ptr<PeerSource> open_or_tell(const Options& options, const OpenPeers& open_peers, Progress& progress) {
    if (options.peers.empty()) return nullptr;
    try {
        return open_peers();
    } catch (const std::exception& error) {
        progress.note(std::string{"all peers skipped: "} + error.what());
        return nullptr;
    }
}

// A peer that does not finish is reported in its table and is no failure of this run: under a small limit the kernel
// sometimes kills a process although there is swap space left. A wrong page is a failure, whichever system lost it.
bool all_well(const Pairing& pairing) {
    if (!pairing.ours.failure.empty() || !pairing.ours.verification.passed()) return false;
    for (const SystemResult& system : pairing.theirs) {
        if (!system.verification.passed()) return false;
    }
    return true;
}

class Run {
public:
    Run(const Options& options, const Surroundings& surroundings)
        : options_{options}, surroundings_{surroundings}, points_{points_of(options)}, json_{options.json} {}

    // Returns whether all systems verified their pages.
    bool all() {
        const PeerSource* const peers = surroundings_.peers;
        print_conditions(options_, peers != nullptr ? peers->conditions(options_) : std::string{});
        if (surroundings_.peers != nullptr) {
            expect(options_.peers.size(), true);
            for (const std::string& name : options_.peers) against(name);
        }
        if (pairings_ == 0) {
            expect(1, false);
            for (const Point& point : points_) {
                begin(point);
                measure(point, nullptr);
            }
        }
        json_.close();
        return well_;
    }

private:
    void expect(std::size_t times, bool with_peer) {
        double seconds = 0;
        for (const Point& point : points_) seconds += pairing_seconds(point.options, with_peer);
        surroundings_.progress.expect(seconds * static_cast<double>(times));
    }

    void begin(const Point& point) {
        surroundings_.progress.at(point.label.empty() ? "" : name(options_.sweep) + (' ' + point.label));
    }

    void against(const std::string& name) {
        printed_heading_ = false;
        bool skipped = false;
        for (const Point& point : points_) {
            surroundings_.interrupt.check();
            begin(point);
            const std::unique_ptr<Peer> peer = skipped ? nullptr : set_up(name, point);
            skipped = peer == nullptr;
            if (skipped) {
                surroundings_.progress.done(pairing_seconds(point.options, true));
            } else {
                measure(point, peer.get());
            }
        }
    }

    // Returns null, and prints the reason, if the peer cannot be had.
    std::unique_ptr<Peer> set_up(const std::string& name, const Point& point) {
        Progress& progress = surroundings_.progress;
        progress.step("set up " + name);
        try {
            return surroundings_.peers->make(name, point.options);
        } catch (const std::exception& error) {
            progress.note(name + " skipped: " + error.what());
            return nullptr;
        }
    }

    void measure(const Point& point, const Peer* peer) {
        const Pairing pairing = run_pairing(point.options, peer, surroundings_);
        surroundings_.progress.clear();
        ++pairings_;
        well_ = well_ && all_well(pairing);
        print(point, pairing);
        json_.add(point.options, pairing);
    }

    void print(const Point& point, const Pairing& pairing) {
        if (options_.sweep == Sweep::none) {
            print_pairing(pairing);
            return;
        }
        if (!printed_heading_) print_sweep_heading(options_, pairing);
        printed_heading_ = true;
        print_sweep_point(point.label, pairing);
    }

    const Options& options_;
    const Surroundings& surroundings_;
    std::vector<Point> points_;
    JsonFile json_;
    std::size_t pairings_ = 0;
    bool printed_heading_ = false;
    bool well_ = true;
};

int run_all_points(const Options& options, const OpenPeers& open_peers) {
    const Interrupt interrupt;
    Progress progress;
    TickScale::instance();  // measured here, inherited by every child
    const std::unique_ptr<PeerSource> peers = open_or_tell(options, open_peers, progress);
    const Surroundings surroundings{interrupt, progress, peers.get()};
    return Run{options, surroundings}.all() ? 0 : kExitFailed;
}

}  // namespace

int run_program(const char* program, const Options& options, const OpenPeers& open_peers) {
    try {
        return run_all_points(options, open_peers);
    } catch (const Interrupted& interrupted) {
        std::fprintf(stderr, "%s: interrupted, all set-up undone\n", program);
        return kExitSignal + interrupted.signal();
    } catch (const FaultlineUnavailable& failure) {
        std::fprintf(stderr, "%s: faultline: %s\n", program, failure.what());
        const bool not_here = failure.error() == EPERM || failure.error() == ENOSYS;
        return not_here ? kExitCannotRun : kExitFailed;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", program, error.what());
        return kExitFailed;
    }
}

}  // namespace bench
