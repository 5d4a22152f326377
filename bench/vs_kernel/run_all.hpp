// Measures what the options ask for: each peer at each point of the sweep. Prints and writes results as they come.
#pragma once

#include <functional>
#include <memory>

#include "vs_kernel/options.hpp"
#include "vs_kernel/pairing.hpp"

namespace bench {

/// Opens a source of peers. Throws with the reason if none of its peers can be had.
using OpenPeers = std::function<std::unique_ptr<PeerSource>()>;

/// Runs `program` after its options are parsed: measures, and reports errors on standard error. Returns the exit
/// status: 0 measured and verified; 1 a page was wrong, or faultline failed; 77 faultline cannot run on this machine
/// (the kernel or the user's rights); 128 + signal: interrupted.
int run_program(const char* program, const Options& options, const OpenPeers& open_peers);

}  // namespace bench
