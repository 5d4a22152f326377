/// @file
/// AccessViolation: describes an access to an address space that its segments do not allow. ViolationHandler: the
/// program's function for such accesses, installed with `AddressSpace::on_violation`. A page that cannot be read is no
/// violation: it raises SIGBUS.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/names.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline {
inline namespace v0 {

/// Why an access is not allowed.
enum class ViolationKind : std::uint8_t {
    unmapped,        ///< No segment has the address. The kernel would report SEGV_MAPERR.
    forbidden,       ///< The segment does not allow the access. The kernel would report SEGV_ACCERR.
    stack_overflow,  ///< The stack has reached its limit: the address is in the guard below it.
};

/// What the program tried to do.
enum class Attempt : std::uint8_t {
    read,    ///< A load.
    write,   ///< A store.
    execute  ///< An instruction fetch.
};

/// One access that no segment allows. A plain value without pointers into the space, so it may be copied.
struct AccessViolation {
    static constexpr std::size_t kMostNameBytes = 32;  ///< The size of `segment`, with its terminator, in bytes.

    const void* address = nullptr;                 ///< The exact address accessed.
    Attempt attempt = Attempt::read;               ///< What the program tried to do.
    ViolationKind kind = ViolationKind::unmapped;  ///< Why it is not allowed.
    Access allowed = Access::none;                 ///< The accesses that the segment allows.
    char segment[kMostNameBytes] =
        {};  ///< The segment's name, truncated if longer; empty if no segment has the address.
};

/// What a violation handler decides.
enum class ViolationAnswer : std::uint8_t {
    deliver,  ///< Raise SIGSEGV for the program, with the siginfo that the kernel would give.
    retry,    ///< Repeat the access: the handler has removed the cause.
};

/// Handles a violation. Called on the thread that made the access, inside the SIGSEGV handler, with the signal mask of
/// the access. It may touch managed memory, and may leave by siglongjmp. It must be signal-safe: it must not call
/// functions of AddressSpace. `context` is the pointer given to `AddressSpace::on_violation`.
using ViolationHandler = ViolationAnswer (*)(const AccessViolation& violation, void* context);

/// @cond
template <>
FAULTLINE_API std::span<const char* const> names<Attempt>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<ViolationKind>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<ViolationAnswer>() noexcept;
/// @endcond

}  // namespace v0
}  // namespace faultline
