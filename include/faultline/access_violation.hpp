// AccessViolation: an access to an address space that its segments do not allow, as a value, and the handler that a
// program may have for it. A page that cannot be read (SIGBUS) is not one.
#pragma once

#include <faultline/language.hpp>

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>

namespace faultline {

enum class ViolationKind : std::uint8_t {
    unmapped,        ///< No segment is there. The kernel would say SEGV_MAPERR.
    forbidden,       ///< The segment does not allow it. The kernel would say SEGV_ACCERR.
    stack_overflow,  ///< The stack has reached its limit: the address is in the guard below it.
};

enum class Attempt : std::uint8_t { read, write, execute };

struct AccessViolation {
    static constexpr std::size_t kMostNameBytes = 32;

    const void* address = nullptr;  ///< Exact.
    Attempt attempt = Attempt::read;
    ViolationKind kind = ViolationKind::unmapped;
    Access allowed = Access::none;      ///< What the segment allows there.
    char segment[kMostNameBytes] = {};  ///< Its name, cut where it is longer; empty where there is none.
};

/// What becomes of the access.
enum class ViolationAnswer : std::uint8_t {
    deliver,  ///< SIGSEGV, to whoever handles it, with the siginfo that the kernel would have given.
    retry,    ///< It is repeated: the handler has changed what was in the way.
};

/// Called on the thread that made the access, inside the handler of SIGSEGV, with the signals blocked that were blocked
/// at the access. It may touch managed memory, and leave by siglongjmp. It must be signal-safe: the calls of
/// AddressSpace are not.
using ViolationHandler = ViolationAnswer (*)(const AccessViolation& violation, void* context);

/// "read", "write", "execute"; "unmapped", "forbidden", "stack_overflow". Never null. Signal-safe.
FAULTLINE_API const char* name(Attempt attempt) noexcept;
FAULTLINE_API const char* name(ViolationKind kind) noexcept;

}  // namespace faultline
