// Everything that the options ask for: each peer at each point of the sweep, printed and written as it is measured.
#pragma once

#include <functional>
#include <memory>

#include "vs_kernel/options.hpp"
#include "vs_kernel/pairing.hpp"

namespace bench {

/// Opens where peers come from. Throws with the reason when no peer of them can be had.
using OpenPeers = std::function<std::unique_ptr<PeerSource>()>;

/// The main function of `program` after its options: measures, and tells what goes wrong on standard error. Returns the
/// exit status: 0 measured and verified; 1 a page was wrong or faultline failed on the way; 77 faultline cannot run on
/// this machine at all (the kernel or the user's rights); 128 + signal interrupted.
int run_program(const char* program, const Options& options, const OpenPeers& open_peers);

}  // namespace bench
