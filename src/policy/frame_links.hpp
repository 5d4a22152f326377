// FrameLinks: what the replacement policies of this folder keep for each frame: links of queues, and a note on the
// page. The interface of policies is public: faultline/replacement_policy.hpp.
#pragma once

#include "core/signal_safe.hpp"

#include <faultline/replacement_policy.hpp>

#include <cstdint>

namespace faultline::policy {

using faultline::Arrival;
using faultline::FrameId;
using faultline::kNoFrame;
using faultline::PolicySetup;
using faultline::ReplacementPolicy;
using faultline::Victim;

/// `queue` is 0 exactly while the frame is on none of the policy's queues; it starts as 0.
struct FrameLinks {
    static constexpr unsigned kNoteShift = 8;

    FrameId previous;
    FrameId next;
    std::uint32_t queue;  ///< Low 8 bits: the queue's tag. The rest: the queue's note on the page.

    [[nodiscard]] constexpr bool on(std::uint32_t tag) const noexcept { return (queue & 0xffU) == tag; }
    [[nodiscard]] constexpr std::uint32_t note() const noexcept { return queue >> kNoteShift; }
};

}  // namespace faultline::policy
