#include "pager/frame/frame_table.hpp"

#include "core/check.hpp"
#include "sys/error.hpp"

#include <cerrno>

namespace faultline::pager {
namespace {

std::unique_ptr<ReplacementPolicy> made_by(const PolicyFactory& make_policy, const PolicySetup& setup) {
    std::unique_ptr<ReplacementPolicy> policy = make_policy(setup);
    if (policy == nullptr) sys::throw_error(EINVAL, "Config::policy returned no policy: it must make one, or throw");
    return policy;
}

}  // namespace

FrameTable::FrameTable(const PolicySetup& setup, const PolicyFactory& make_policy)
    : checksums_{setup.capacity + 1, "a frame table"},
      pages_{setup.capacity + 1, "a frame table"},
      listed_{setup.capacity + 1, "a frame table"},
      policy_{made_by(make_policy, setup)} {}

FrameId FrameTable::place(core::PageRef page, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    FrameId frame = first_free_;
    if (frame != kNoFrame) {
        first_free_ = pages_[frame].page;
    } else {
        FAULTLINE_REQUIRE(never_used_ < pages_.size(), "more frames in use than the machine has");
        frame = never_used_++;
    }
    pages_[frame] = page;
    listed_[frame] = true;
    ++mapped_;
    if (trusts_policy_) policy_->mapped(frame, arrival);
    return frame;
}

// ---- Victims

/// Asks the policy, and checks its answer.
Victim FrameTable::victim_of_policy() FAULTLINE_SIGNAL_SAFE {
    const Victim victim = policy_->victim();
    if (victim.frame == kNoFrame) return {};
    if (victim.frame < never_used_ && listed_[victim.frame] && victim.tag <= Victim::kMaxTag) {
        listed_[victim.frame] = false;
        return victim;
    }
    trusts_policy_ = false;
    bad_choice_ = victim;
    has_bad_choice_.store(true, std::memory_order_release);
    return victim_by_number(kFramesPerLook);
}

/// Takes the next frame that is listed, in the order of their numbers. Looks at so many frames at most, because the
/// lock is held.
Victim FrameTable::victim_by_number(std::size_t frames_to_look_at) FAULTLINE_SIGNAL_SAFE {
    for (; frames_to_look_at > 0; --frames_to_look_at) {
        if (++last_by_number_ >= never_used_) last_by_number_ = 1;
        if (last_by_number_ >= never_used_ || !listed_[last_by_number_]) continue;
        listed_[last_by_number_] = false;
        return {last_by_number_, 0};
    }
    return {};
}

std::optional<Victim> FrameTable::take_bad_choice() FAULTLINE_SIGNAL_SAFE {
    if (!has_bad_choice_.load(std::memory_order_relaxed)) return std::nullopt;
    if (!has_bad_choice_.exchange(false, std::memory_order_acquire)) return std::nullopt;
    return bad_choice_;
}

// ---- Frames that leave and come back

void FrameTable::list_again(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    listed_[frame] = true;
    if (trusts_policy_) policy_->put_back(frame);
}

/// A frame that the policy has returned as a victim is not listed any more.
void FrameTable::remove_from_policy(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    if (listed_[frame] && trusts_policy_) policy_->removed(frame);
    listed_[frame] = false;
}

void FrameTable::free_frame(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    remove_from_policy(frame);
    pages_[frame] = {0, first_free_};
    first_free_ = frame;
    --mapped_;
}

void FrameTable::remove(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    free_frame(frame);
}

void FrameTable::remove(std::span<const ChosenPage> pages) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    for (const ChosenPage& chosen : pages) free_frame(chosen.victim.frame);
}

void FrameTable::put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    remove_from_policy(frame);  // the policy still has a frame that was evicted by name
    list_again(frame);
}

void FrameTable::referenced(core::PageRef page, FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    if (pages_[frame] == page && listed_[frame] && trusts_policy_) policy_->referenced(frame);
}

void FrameTable::demote(core::PageRef page, FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    if (pages_[frame] == page && listed_[frame] && trusts_policy_) policy_->demote(frame);
}

void FrameTable::resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    if (trusts_policy_) policy_->resized(frames);
}

}  // namespace faultline::pager
