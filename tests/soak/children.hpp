// Forks children at random moments of a round and checks what they may do with managed memory.
#pragma once

#include "soak/findings.hpp"
#include "soak/territory.hpp"

#include <cstdint>

namespace faultline::soak {

enum class ChildDoes : std::uint8_t {
    leave,   ///< Exits at once.
    touch,   ///< Reads managed memory, which must end the child with SIGSEGV.
    verify,  ///< Compares its copy of the thread's words with the oracle.
};

/// Forks, waits for the child, and reports to `findings` if it does not end as it must. fork() may fail with EAGAIN or
/// ENOMEM.
void fork_child(ChildDoes what, const Territory& territory, unsigned thread, Findings& findings);

}  // namespace faultline::soak
