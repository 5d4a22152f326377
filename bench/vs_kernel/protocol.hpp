// The messages between the parent and a child process: one packet each way on a SOCK_SEQPACKET pair. The child sends
// first, when it has populated its memory; afterwards it answers each order with one reply.
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
    int error = 0;                 // the errno value of the failure, if it has one
    std::array<char, 480> text{};  // what failed; in a successful first reply, the memory's description
    Round round{};                 // in the first reply: of populating
    Verification verification{};
};

static_assert(std::is_trivially_copyable_v<Order> && std::is_trivially_copyable_v<Reply>);

}  // namespace bench
