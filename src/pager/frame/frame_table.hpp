// FrameTable: which page is in which frame, and the replacement policy over the frames, behind one short lock. A frame
// here is a number, the token of one mapped page, not a physical address. PageFill places pages, Evictor
// chooses them, Stager removes them.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "store/page_checksum.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"

#include <faultline/replacement_policy.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace faultline::pager {

/// A page that the policy chose and the caller has claimed: its word is `evicting`.
struct ChosenPage {
    core::PageRef page;
    Victim victim;
};

/// Thread-safe and signal-safe. Callers that are not in a fault keep signals blocked around every call.
class FrameTable {
public:
    /// Makes a table for `setup.capacity` mapped pages, and its policy. Throws std::system_error: ENOMEM, EINVAL if
    /// `make_policy` returns null; and what `make_policy` throws.
    FrameTable(const PolicySetup& setup, const PolicyFactory& make_policy);

    [[nodiscard]] std::size_t capacity() const noexcept { return pages_.size() - 1; }

    /// Returns the bytes of memory that the table and the policy take for each frame that was ever in use.
    [[nodiscard]] std::size_t bytes_per_frame() const noexcept {
        return sizeof(store::PageChecksum) + sizeof(core::PageRef) + sizeof(bool) + policy_->bytes_per_frame();
    }

    /// Gives a page a frame, and tells the policy. Called before the page's word is published as resident.
    [[nodiscard]] FrameId place(core::PageRef page, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE;

    /// Frees the frames of pages that are no longer mapped.
    void remove(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void remove(std::span<const ChosenPage> pages) FAULTLINE_SIGNAL_SAFE;

    /// Returns a chosen page to the policy, because it could not be evicted.
    void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE;

    /// Tells the policy that `page` was seen to be used while it was mapped, if it is still in `frame`.
    void referenced(core::PageRef page, FrameId frame) FAULTLINE_SIGNAL_SAFE;
    /// Keeps the checksum of a page, or returns it: see PageWord::checksummed. The caller owns the page in `frame`.
    void set_checksum(FrameId frame, const store::PageChecksum& checksum) const FAULTLINE_SIGNAL_SAFE {
        checksums_[frame] = checksum;
    }
    [[nodiscard]] const store::PageChecksum& checksum(FrameId frame) const FAULTLINE_SIGNAL_SAFE {
        return checksums_[frame];
    }

    /// Tells the policy to evict `page` before others, if it is still in `frame`.
    void demote(core::PageRef page, FrameId frame) FAULTLINE_SIGNAL_SAFE;

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

    /// Returns the choice for which the table has stopped asking the policy: a frame that the policy did not have, or a
    /// tag that is too large. Returns it once.
    [[nodiscard]] std::optional<Victim> take_bad_choice() FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::size_t kSparedAtMost = 64;
    static constexpr std::size_t kChosenPerTurn = 16;  // bounds how long the lock is held: faults need it, too

    static constexpr std::size_t kFramesPerLook = 1024;  // see victim_by_number

    template <typename Claim>
    [[nodiscard]] std::size_t choose_some(std::span<ChosenPage> chosen, Claim claim) FAULTLINE_SIGNAL_SAFE {
        const std::scoped_lock lock{lock_};
        std::size_t count = 0;
        std::size_t tries = chosen.size() + kSparedAtMost;
        while (count < chosen.size() && tries-- > 0) {
            const Victim victim = trusts_policy_ ? victim_of_policy() : victim_by_number(kFramesPerLook);
            if (victim.frame == kNoFrame) break;
            const core::PageRef page = pages_[victim.frame];
            if (claim(page, victim.frame)) {
                chosen[count++] = {page, victim};
            } else {
                list_again(victim.frame);
            }
        }
        return count;
    }

    /// Chooses any page that can be evicted. Called if so many pages are pinned that the policy's order has no victim.
    /// It must not miss a page, because the caller sleeps if it finds no victim.
    template <typename Claim>
    [[nodiscard]] std::size_t choose_any(std::span<ChosenPage> chosen, Claim claim) FAULTLINE_SIGNAL_SAFE {
        for (FrameId frame = 1; frame < never_used_ && mapped_ > 0; ++frame) {
            if (!listed_[frame] || !claim(pages_[frame], frame)) continue;
            remove_from_policy(frame);
            chosen[0] = {pages_[frame], {frame, 0}};
            return 1;
        }
        return 0;
    }

    // The lock is held for all of these.
    [[nodiscard]] Victim victim_of_policy() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Victim victim_by_number(std::size_t frames_to_look_at) FAULTLINE_SIGNAL_SAFE;
    void list_again(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void remove_from_policy(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void free_frame(FrameId frame) FAULTLINE_SIGNAL_SAFE;

    sys::LazyArray<store::PageChecksum> checksums_;  // by frame; used by the owners of the pages

    sys::FutexLock lock_;  // guards everything below; no system call and no wait for a page claim inside
    sys::LazyArray<core::PageRef> pages_;  // by frame; of a free frame: region 0, and the next free frame
    sys::LazyArray<bool> listed_;          // by frame: the policy has it
    std::unique_ptr<ReplacementPolicy> policy_;
    bool trusts_policy_ = true;   // false: the policy made a bad choice, and is not called any more
    FrameId last_by_number_ = 0;  // the last frame that victim_by_number looked at
    FrameId first_free_ = kNoFrame;
    FrameId never_used_ = 1;  // the lowest frame that no page has had
    std::size_t mapped_ = 0;  // frames in use
    Victim bad_choice_;
    std::atomic<bool> has_bad_choice_{false};  // set with the lock held; loaded without it
};

}  // namespace faultline::pager
