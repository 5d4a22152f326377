// Children of fork in the middle of everything: what they may do with managed memory, and that the parent goes on.
#pragma once

#include "soak/findings.hpp"
#include "soak/territory.hpp"

#include <cstdint>

namespace faultline::soak {

enum class ChildDoes : std::uint8_t {
    leave,   ///< Ends at once.
    touch,   ///< Reads managed memory, which must end it with SIGSEGV.
    verify,  ///< Compares its copy of the words of `thread`.
};

/// Forks, and waits for the child.
void fork_child(ChildDoes what, const Territory& territory, unsigned thread, Findings& findings);

}  // namespace faultline::soak
