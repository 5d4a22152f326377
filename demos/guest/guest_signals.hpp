// GuestSignals: the program's view of its signals: actions, mask and alternate stack. The kernel calls the program's
// handlers directly, on the program's stack. Signals that would end the program by default come to the gate's keeper
// instead. SIGSYS, which carries the program's calls, always belongs to the gate.
#pragma once

#include "guest/gate.hpp"

#include <array>
#include <csignal>
#include <cstdint>

namespace faultline::demo::guest {

/// Answers system calls with a value or a negated errno. Used by the gate's thread.
class GuestSignals {
public:
    static constexpr int kSignals = 64;

    /// The program ignores the signals that the process ignores now, so construct this before anything changes them.
    /// The program begins with the signals of `mask` blocked. Bit n - 1 is signal n.
    explicit GuestSignals(std::uint64_t mask) noexcept;

    /// Directs the signals that end a program to the keeper, unless they are ignored.
    void watch_fatal() const noexcept;

    [[nodiscard]] std::uint64_t initial_mask() const noexcept { return allowed(initial_mask_); }

    [[nodiscard]] long action(int signal, std::uint64_t action, std::uint64_t previous,
                              std::uint64_t set_bytes) noexcept;
    [[nodiscard]] long mask(std::uint64_t& current, int how, std::uint64_t set, std::uint64_t previous,
                            std::uint64_t set_bytes) noexcept;
    /// Stores the setting and returns the previous one. Handlers run on the ordinary stack in any case.
    [[nodiscard]] long alternate_stack(std::uint64_t stack, std::uint64_t previous) noexcept;

    /// Returns `mask` without the signals that the gate needs.
    [[nodiscard]] static std::uint64_t allowed(std::uint64_t mask) noexcept;

private:
    static constexpr std::uint64_t kSetBytes = 8;

    [[nodiscard]] long install(int signal, const KernelSignalAction& action) noexcept;

    std::array<KernelSignalAction, kSignals + 1> actions_{};
    std::uint64_t initial_mask_;
    bool blocks_gate_ = false;  // the program has asked to block SIGSYS
    stack_t alternate_{};
};

}  // namespace faultline::demo::guest
