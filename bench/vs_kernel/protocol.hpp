// What the parent and a child process say to each other: one packet each way on a SOCK_SEQPACKET pair. The child
// speaks first, when it has populated its memory; afterwards each order gets one reply.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "vs_kernel/mode.hpp"
#include "vs_kernel/result.hpp"
#include "vs_kernel/workload.hpp"

namespace bench {

struct Order {
    enum class Kind : std::uint8_t { run, verify, finish };
    Kind kind = Kind::run;
    Mode mode = kModes[0];  // its name points into the program's constants, which parent and child share
    double seconds = 0;
};

struct Reply {
    bool failed = false;
    int error = 0;                 // an errno value, where the failure was one
    std::array<char, 480> text{};  // what failed; in the first reply of one that did not: the memory's description
    Round round{};                 // in the first reply: populating
    Verification verification{};
};

static_assert(std::is_trivially_copyable_v<Order> && std::is_trivially_copyable_v<Reply>);

}  // namespace bench
