#include "pager/frame/frame_table.hpp"

#include "core/check.hpp"
#include "policy/fifo.hpp"
#include "policy/second_chance.hpp"

namespace faultline::pager {
namespace {

std::unique_ptr<policy::ReplacementPolicy> make_policy(Replacement replacement, std::span<policy::FrameLinks> links,
                                                       std::span<policy::FrameId> main_slots, std::size_t frames,
                                                       unsigned staging_percent) {
    if (replacement == Replacement::fifo) return std::make_unique<policy::Fifo>(links);
    return std::make_unique<policy::SecondChance>(links, main_slots, frames, staging_percent);
}

}  // namespace

FrameTable::FrameTable(std::size_t capacity, std::size_t frames, Replacement replacement, unsigned staging_percent)
    : checksums_{capacity + 1, "a frame table"},
      pages_{capacity + 1, "a frame table"},
      links_{capacity + 1, "a frame table"},
      main_slots_{capacity + 1, "a frame table"},
      policy_{make_policy(replacement, links_.span(), main_slots_.span(), frames, staging_percent)} {}

policy::FrameId FrameTable::place(core::PageRef page, const policy::Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    policy::FrameId frame = first_free_;
    if (frame != policy::kNoFrame) {
        first_free_ = links_[frame].next;
        links_[frame] = {};
    } else {
        FAULTLINE_REQUIRE(never_used_ < pages_.size(), "more frames in use than the machine has");
        frame = never_used_++;
    }
    pages_[frame] = page;
    ++mapped_;
    policy_->mapped(frame, arrival);
    return frame;
}

void FrameTable::free_frame(policy::FrameId frame) FAULTLINE_SIGNAL_SAFE {
    policy_->removed(frame);
    links_[frame].next = first_free_;
    first_free_ = frame;
    --mapped_;
}

void FrameTable::remove(policy::FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    free_frame(frame);
}

void FrameTable::remove(std::span<const ChosenPage> pages) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    for (const ChosenPage& chosen : pages) free_frame(chosen.victim.frame);
}

void FrameTable::put_back(policy::FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    policy_->removed(frame);  // a page evicted on request was not taken from its queue
    policy_->put_back(frame);
}

void FrameTable::referenced(core::PageRef page, policy::FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    if (pages_[frame].bits() == page.bits()) policy_->referenced(frame);
}

void FrameTable::demote(core::PageRef page, policy::FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    if (pages_[frame].bits() == page.bits()) policy_->demote(frame);
}

void FrameTable::resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    policy_->resized(frames);
}

}  // namespace faultline::pager
