// VictimDuel: which of two rules chooses the victims of SecondChance's main set. Every eighth victim is chosen by one
// rule whatever the other does, and every eighth by the other. The rule whose victims come back early more often is
// the worse one, and the winner chooses all other victims. Recent refaults count most. Where the rules are alike (all
// pages are), `rarest` stays: `oldest` must be ahead by an eighth.
//
// Idea: set duelling, Qureshi et al., "Adaptive insertion policies for high performance caching" (ISCA 2007).
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::policy {

enum class VictimRule : std::uint8_t {
    oldest,  ///< The page that came into the main set first: right where programs move on to other pages.
    rarest,  ///< The page that the program uses least often: right where the same pages stay hot.
};

class VictimDuel {
public:
    struct Turn {
        VictimRule rule;
        bool counts;  ///< The victim's early return is to be told to the duel.
    };

    /// Returns which rule chooses the next victim. `random`: any number.
    [[nodiscard]] Turn next(std::uint64_t random) const FAULTLINE_SIGNAL_SAFE {
        switch (random % 8) {
            case 0:
                return {VictimRule::oldest, true};
            case 1:
                return {VictimRule::rarest, true};
            default:
                return {winner(), false};
        }
    }

    /// Notes that a victim whose turn counted came back early.
    void returned_early(VictimRule rule) FAULTLINE_SIGNAL_SAFE {
        oldest_returned_ -= oldest_returned_ / kMemory;
        rarest_returned_ -= rarest_returned_ / kMemory;
        (rule == VictimRule::oldest ? oldest_returned_ : rarest_returned_) += kOne;
    }

    [[nodiscard]] VictimRule winner() const FAULTLINE_SIGNAL_SAFE {
        return 8 * std::uint64_t{oldest_returned_} < 7 * std::uint64_t{rarest_returned_} ? VictimRule::oldest
                                                                                         : VictimRule::rarest;
    }

private:
    static constexpr std::uint32_t kMemory = 64;  // early returns
    static constexpr std::uint32_t kOne = 1U << 16;

    std::uint32_t oldest_returned_ = 0;  // a decaying count, in units of 1 / kOne
    std::uint32_t rarest_returned_ = 0;
};

}  // namespace faultline::policy
