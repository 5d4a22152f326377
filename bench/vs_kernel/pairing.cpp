// See pairing.hpp.
#include "vs_kernel/pairing.hpp"

#include <memory>
#include <optional>
#include <utility>

#include "vs_kernel/child.hpp"

namespace bench {
namespace {

// Bounds how often a peer is restarted that the kernel kills under its limit.
constexpr unsigned kMostRestarts = 5;

// One running system. Without a child it has failed and takes no further part.
struct Side {
    SystemResult result;
    std::unique_ptr<ChildProcess> child;

    void fail(const ChildFailure& failure) {
        result.failure = failure.what();
        child.reset();
    }
};

class Runner {
public:
    Runner(const Options& options, const Peer* peer, const Surroundings& surroundings)
        : options_{options}, surroundings_{surroundings}, progress_{surroundings.progress}, peer_{peer} {
        ours_.result.name = "faultline";
        ours_.result.store = options.compressed > 0 ? "compressed" : "file";
        ours_.result.delivery = faultline::to_string(options.delivery);
        ours_.result.page_bytes = options.page_size;
        ours_.result.modes.push_back({kPopulate, {}});
        if (peer == nullptr) return;
        Side& theirs = theirs_.emplace_back();
        theirs.result.name = peer->name();
        theirs.result.store = peer->store();
        theirs.result.page_bytes = peer->page_bytes();
        theirs.result.modes.push_back({kPopulate, {}});
    }

    Pairing run() {
        start_faultline();
        if (peer_ != nullptr) start_peer();
        for (const Mode& mode : options_.modes) run_mode(mode);
        for (Side* const side : sides()) verify(*side);
        Pairing pairing{std::move(ours_.result), {}};
        for (Side& side : theirs_) pairing.theirs.push_back(std::move(side.result));
        return pairing;
    }

private:
    std::vector<Side*> sides() {
        std::vector<Side*> all{&ours_};
        for (Side& side : theirs_) all.push_back(&side);
        return all;
    }

    void announce(const Side& side, const std::string& what) {
        const std::string pair = peer_ == nullptr ? std::string{"alone"} : "against " + peer_->name();
        progress_.step(pair + ": " + what + ": " + side.result.name);
    }

    void start_faultline() {
        announce(ours_, "populate");
        try {
            start(ours_, [this] { return make_faultline_memory(options_); });
        } catch (const ChildFailure& failure) {
            throw FaultlineUnavailable{failure.what(), failure.error()};
        }
    }

    void start_peer() {
        Side& side = theirs_.front();
        announce(side, "populate");
        try {
            start(side, [this] { return peer_->make_memory(); });
            side.result.memory_beside = peer_->memory_beside();
        } catch (const ChildFailure& failure) {
            side.fail(failure);
        }
    }

    void start(Side& side, const ChildProcess::MakeMemory& make_memory) {
        const auto make_in_child = [this, &make_memory] {
            if (surroundings_.peers != nullptr) surroundings_.peers->let_go_in_child();
            return make_memory();
        };
        const WorkloadShape shape{options_.threads, named_at_once(options_)};
        side.child = std::make_unique<ChildProcess>(surroundings_.interrupt, make_in_child, shape);
        const Reply ready = side.child->receive();
        side.result.description = ready.text.data();
        // Chosen in the child, where the pager is.
        side.result.delivery = side.result.description.substr(0, side.result.description.find(','));
        // A restarted peer was measured before: its first attempt counts.
        std::vector<Round>& populating = side.result.modes.front().rounds;
        if (populating.empty()) populating.push_back(ready.round);
    }

    // Returns the reply, or nothing for a system that has failed. A peer that the kernel has killed is restarted from
    // the beginning and gets its order again. faultline must succeed at the first attempt.
    std::optional<Reply> ask(Side& side, const Order& order) {
        while (side.child) {
            try {
                return side.child->ask(order);
            } catch (const ChildFailure& failure) {
                side.fail(failure);
                if (&side != &ours_ && side.result.restarts < kMostRestarts) restart_peer(failure);
            }
        }
        return std::nullopt;
    }

    void restart_peer(const ChildFailure& failure) {
        SystemResult& result = theirs_.front().result;
        progress_.note(result.name + ": " + failure.what() + "; it starts again");
        ++result.restarts;
        result.failure.clear();
        start_peer();
    }

    void run_mode(const Mode& mode) {
        for (Side* const side : sides()) {
            side->result.modes.push_back({mode, {}});
            if (options_.warm_up > 0) warm_up(*side, mode);
        }
        for (unsigned round = 0; round < options_.rounds; ++round) {
            std::vector<Side*> order = sides();
            // The first system alternates, too, because a turn depends on the state in which the last one left the
            // disk.
            if (round % 2 == 1) std::reverse(order.begin(), order.end());
            for (Side* const side : order) run_round(*side, mode, round);
        }
    }

    void warm_up(Side& side, const Mode& mode) {
        announce(side, std::string{mode.name} + ", warm-up");
        ask(side, {.kind = Order::Kind::run, .mode = mode, .seconds = options_.warm_up});
        progress_.done(options_.warm_up);
    }

    void run_round(Side& side, const Mode& mode, unsigned round) {
        announce(side, std::string{mode.name} + ", round " + std::to_string(round + 1) + " of " +
                           std::to_string(options_.rounds));
        const std::optional<Reply> reply =
            ask(side, {.kind = Order::Kind::run, .mode = mode, .seconds = options_.seconds});
        if (reply) side.result.modes.back().rounds.push_back(reply->round);
        progress_.done(options_.seconds);
    }

    // Not repeated with a new child: that child would have nothing to verify.
    void verify(Side& side) {
        announce(side, "verify");
        if (!side.child) return;
        try {
            side.result.verification = side.child->ask({.kind = Order::Kind::verify}).verification;
            side.child->finish();
        } catch (const ChildFailure& failure) {
            side.fail(failure);
        }
    }

    const Options& options_;
    const Surroundings& surroundings_;
    Progress& progress_;
    const Peer* peer_;
    Side ours_;
    std::vector<Side> theirs_;  // zero or one
};

}  // namespace

double pairing_seconds(const Options& options, bool with_peer) noexcept {
    const double of_mode = options.warm_up + options.rounds * options.seconds;
    return of_mode * static_cast<double>(options.modes.size() * (with_peer ? 2 : 1));
}

Pairing run_pairing(const Options& options, const Peer* peer, const Surroundings& surroundings) {
    return Runner{options, peer, surroundings}.run();
}

}  // namespace bench
