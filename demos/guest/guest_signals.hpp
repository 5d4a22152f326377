// What a program knows of its signals: actions, mask and alternate stack, as it has set them. Its handlers are the
// kernel's to call, on the program's own stack. What it leaves to the default and would end it comes to the gate's
// keeper instead, and SIGSYS, by which its calls come, stays the gate's whatever the program does.
#pragma once

#include "guest/gate.hpp"

#include <array>
#include <csignal>
#include <cstdint>

namespace faultline::demo::guest {

/// Answers calls with a value or a negated errno. Used by the gate's thread.
class GuestSignals {
public:
    static constexpr int kSignals = 64;

    /// What the process ignores now, before anything else changes it, the program ignores; it begins with the signals
    /// of `mask` blocked. Bit n - 1 is signal n.
    explicit GuestSignals(std::uint64_t mask) noexcept;

    /// The signals that end a program come to the keeper, where they are not ignored.
    void watch_fatal() const noexcept;

    [[nodiscard]] std::uint64_t initial_mask() const noexcept { return allowed(initial_mask_); }

    [[nodiscard]] long action(int signal, std::uint64_t action, std::uint64_t previous,
                              std::uint64_t set_bytes) noexcept;
    [[nodiscard]] long mask(std::uint64_t& current, int how, std::uint64_t set, std::uint64_t previous,
                            std::uint64_t set_bytes) noexcept;
    /// Is remembered; handlers run on the ordinary stack all the same.
    [[nodiscard]] long alternate_stack(std::uint64_t stack, std::uint64_t previous) noexcept;

    /// Without what the gate needs.
    [[nodiscard]] static std::uint64_t allowed(std::uint64_t mask) noexcept;

private:
    static constexpr std::uint64_t kSetBytes = 8;

    [[nodiscard]] long install(int signal, const KernelSignalAction& action) noexcept;

    std::array<KernelSignalAction, kSignals + 1> actions_{};
    std::uint64_t initial_mask_;
    bool blocks_gate_ = false;  // the program believes that it has blocked SIGSYS
    stack_t alternate_{};
};

}  // namespace faultline::demo::guest
