// ProgramBreak: the memory that a static program takes by brk(2). It lies in the window of managed mappings. The
// kernel's own break belongs to the C library of this library.
#pragma once

#include "core/address_range.hpp"

#include <cstdint>

namespace faultline::preload {

class ProgramBreak {
public:
    /// Reserves addresses in the window. Throws std::system_error. Call once, while the process has one thread.
    static void start();

    /// Does what the system call brk(2) does: moves the break if it can, and returns where the break is then. Call
    /// inside the library, with the signals of kHandlerMask blocked.
    [[nodiscard]] static std::uint64_t move(std::uint64_t wanted) noexcept;

    /// Around fork, in parent and child: no other thread is inside move() at the fork.
    static void before_fork() noexcept;
    static void after_fork() noexcept;

private:
    static bool resize(std::uint64_t from, std::uint64_t to) noexcept;

    static inline constinit core::AddressRange reserved_{};
    static inline constinit std::uint64_t break_ = 0;  // guarded by a lock in the .cpp
};

}  // namespace faultline::preload
