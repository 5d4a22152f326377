// A pairing: faultline and a peer, each in its own process, take turns round by round, so that changes of the disk and
// the machine affect both.
#pragma once

#include "vs_kernel/child.hpp"
#include "vs_kernel/interrupt.hpp"
#include "vs_kernel/options.hpp"
#include "vs_kernel/peer.hpp"
#include "vs_kernel/progress.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

/// Thrown if faultline could not start: there is nothing to compare.
class FaultlineUnavailable : public ChildFailure {
public:
    using ChildFailure::ChildFailure;
};

/// What the pairings of a run share.
struct Surroundings {
    const Interrupt& interrupt;
    Progress& progress;
    PeerSource* peers;  ///< Null: no peers.
};

/// Returns the seconds that the rounds of one pairing take: what `run_pairing` reports to the progress.
double pairing_seconds(const Options& options, bool with_peer) noexcept;

/// Runs all modes. `peer` may be null: faultline alone. A system that fails is reported in its `SystemResult::failure`.
/// Throws `FaultlineUnavailable` and `Interrupted`.
Pairing run_pairing(const Options& options, const Peer* peer, const Surroundings& surroundings);

}  // namespace bench
