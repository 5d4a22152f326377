// One pairing: faultline and a peer, each in its own process, taking turns round by round, so that what the disk and
// the machine do in the meantime happens to both.
#pragma once

#include "vs_kernel/child.hpp"
#include "vs_kernel/interrupt.hpp"
#include "vs_kernel/options.hpp"
#include "vs_kernel/peer.hpp"
#include "vs_kernel/progress.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

/// faultline could not even start: there is nothing to compare.
class FaultlineUnavailable : public ChildFailure {
public:
    using ChildFailure::ChildFailure;
};

/// What runs of pairings have in common.
struct Surroundings {
    const Interrupt& interrupt;
    Progress& progress;
    PeerSource* peers;  ///< Null: there are none.
};

/// How long the rounds of one pairing take, in seconds: what `run_pairing` reports as done to the progress.
double pairing_seconds(const Options& options, bool with_peer) noexcept;

/// Runs all modes. `peer` may be null: faultline alone. A system that fails on the way is told in its
/// `SystemResult::failure`. Throws `FaultlineUnavailable` and `Interrupted`.
Pairing run_pairing(const Options& options, const Peer* peer, const Surroundings& surroundings);

}  // namespace bench
