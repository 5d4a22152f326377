// FrameTable: which page is in which frame, and the replacement policy over the frames, behind one short lock. A frame
// here is a number, the token of one mapped page, not a physical address. PageFill places pages, Evictor
// chooses them, Stager removes them.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "policy/replacement_policy.hpp"
#include "store/page_checksum.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"

#include <faultline/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace faultline::pager {

/// A page that the policy chose and the caller has claimed: its word is `evicting`.
struct ChosenPage {
    core::PageRef page;
    policy::Victim victim;
};

/// Thread-safe and signal-safe. Callers that are not in a fault keep signals blocked around every call.
class FrameTable {
public:
    /// Memory of the table for each frame that was ever in use.
    static constexpr std::size_t kBytesPerFrame =
        sizeof(store::PageChecksum) + sizeof(core::PageRef) + sizeof(policy::FrameLinks) + sizeof(policy::FrameId);

    /// Makes a table for `capacity` mapped pages. `frames`: the limit now. `staging_percent`: see Config. Throws
    /// std::system_error (ENOMEM).
    FrameTable(std::size_t capacity, std::size_t frames, Replacement replacement, unsigned staging_percent);

    [[nodiscard]] std::size_t capacity() const noexcept { return pages_.size() - 1; }

    /// Gives a page a frame, and tells the policy. Called before the page's word is published as resident.
    [[nodiscard]] policy::FrameId place(core::PageRef page, const policy::Arrival& arrival) FAULTLINE_SIGNAL_SAFE;

    /// Frees the frames of pages that are no longer mapped.
    void remove(policy::FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void remove(std::span<const ChosenPage> pages) FAULTLINE_SIGNAL_SAFE;

    /// Returns a chosen page to the policy, because it could not be evicted.
    void put_back(policy::FrameId frame) FAULTLINE_SIGNAL_SAFE;

    /// Tells the policy that `page` was seen to be used while it was mapped, if it is still in `frame`.
    void referenced(core::PageRef page, policy::FrameId frame) FAULTLINE_SIGNAL_SAFE;
    /// Keeps the checksum of a page, or returns it: see PageWord::checksummed. The caller owns the page in `frame`.
    void set_checksum(policy::FrameId frame, const store::PageChecksum& checksum) const FAULTLINE_SIGNAL_SAFE {
        checksums_[frame] = checksum;
    }
    [[nodiscard]] const store::PageChecksum& checksum(policy::FrameId frame) const FAULTLINE_SIGNAL_SAFE {
        return checksums_[frame];
    }

    /// Tells the policy to evict `page` before others, if it is still in `frame`.
    void demote(core::PageRef page, policy::FrameId frame) FAULTLINE_SIGNAL_SAFE;

    /// Fills `chosen` with pages in the policy's order, and returns their number. `claim(page, frame)` is called with
    /// the lock held: it changes the page's word from resident to evicting, or returns false to spare the page.
    template <typename Claim>
    [[nodiscard]] std::size_t choose(std::span<ChosenPage> chosen, Claim claim) FAULTLINE_SIGNAL_SAFE {
        std::size_t count = 0;
        while (count < chosen.size()) {
            const std::size_t most = std::min(chosen.size() - count, kChosenPerTurn);
            const std::size_t found = choose_some(chosen.subspan(count, most), claim);
            count += found;
            if (found < most) break;
        }
        if (count > 0) return count;
        const std::scoped_lock lock{lock_};
        return choose_any(chosen, claim);
    }

    /// Returns how many units the policy wants staged, for a limit of `frames` units.
    [[nodiscard]] std::size_t staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE {
        return policy_->staging_target(frames);
    }

    /// Tells the policy that the limit is now `frames` units.
    void resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::size_t kSparedAtMost = 64;
    static constexpr std::size_t kChosenPerTurn = 16;  // bounds how long the lock is held: faults need it, too

    template <typename Claim>
    [[nodiscard]] std::size_t choose_some(std::span<ChosenPage> chosen, Claim claim) FAULTLINE_SIGNAL_SAFE {
        const std::scoped_lock lock{lock_};
        std::size_t count = 0;
        std::size_t tries = chosen.size() + kSparedAtMost;
        while (count < chosen.size() && tries-- > 0) {
            const policy::Victim victim = policy_->victim();
            if (victim.frame == policy::kNoFrame) break;
            const core::PageRef page = pages_[victim.frame];
            if (claim(page, victim.frame)) {
                chosen[count++] = {page, victim};
            } else {
                policy_->put_back(victim.frame);
            }
        }
        return count;
    }

    /// Chooses any page that can be evicted. Called if so many pages are pinned that the policy's order has no victim.
    /// It must not miss a page, because the caller sleeps if it finds no victim.
    template <typename Claim>
    [[nodiscard]] std::size_t choose_any(std::span<ChosenPage> chosen, Claim claim) FAULTLINE_SIGNAL_SAFE {
        for (policy::FrameId frame = 1; frame < never_used_ && mapped_ > 0; ++frame) {
            if (links_[frame].queue == 0 || !claim(pages_[frame], frame)) continue;
            policy_->removed(frame);
            chosen[0] = {pages_[frame], {frame, 0}};
            return 1;
        }
        return 0;
    }

    void free_frame(policy::FrameId frame) FAULTLINE_SIGNAL_SAFE;

    sys::LazyArray<store::PageChecksum> checksums_;  // by frame; used by the owners of the pages

    sys::FutexLock lock_;  // guards everything below; no system call and no wait for a page claim inside
    sys::LazyArray<core::PageRef> pages_;       // by frame
    sys::LazyArray<policy::FrameLinks> links_;  // the policy's queues; `next` chains free frames
    sys::LazyArray<policy::FrameId> main_slots_;
    std::unique_ptr<policy::ReplacementPolicy> policy_;
    policy::FrameId first_free_ = policy::kNoFrame;
    policy::FrameId never_used_ = 1;  // the lowest frame that no page has had
    std::size_t mapped_ = 0;          // frames in use
};

}  // namespace faultline::pager
