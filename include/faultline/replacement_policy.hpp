/// @file
/// ReplacementPolicy: the interface by which a program gives a pager its own rule for which page to evict. Derive from
/// it, and put a function that makes the policy into `Config::policy`. The policies of faultline itself implement the
/// same interface. `check_policy` in conformance.hpp tests an implementation.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace faultline {
inline namespace v0 {

/// Identifies a frame that holds a mapped page: 1 to `PolicySetup::capacity`. A frame is a number, not an address.
using FrameId = std::uint32_t;
/// No frame.
inline constexpr FrameId kNoFrame = 0;

/// How a page came to be mapped. A pager sees faults only: it does not see the accesses to pages that are mapped.
struct Arrival {
    /// The event that mapped the page.
    enum class Kind : std::uint8_t {
        first_touch,  ///< The page had no contents before.
        read_ahead,   ///< Prefetched together with another page. No access has needed it yet.
        hard_fault,   ///< Read from the store.
        soft_fault,   ///< Taken back from staging: used again soon after it was unmapped.
    };
    Kind kind = Kind::first_touch;  ///< The event.
    /// For hard faults: evictions since the page was evicted (refault distance).
    std::uint32_t evictions_ago = 0;
    /// For hard faults: the tag that `victim` returned when the page was evicted.
    std::uint8_t tag = 0;
};

/// A policy's choice of the page to evict.
struct Victim {
    FrameId frame = kNoFrame;  ///< The frame that holds the page.
    /// 0 to `kMaxTag`: what the policy wants to know about the page when it comes back. The pager keeps it while the
    /// page is absent, and passes it back in `Arrival::tag`. It is 0 for a page that the policy did not choose.
    std::uint8_t tag = 0;

    /// The largest tag.
    static constexpr std::uint8_t kMaxTag = 31;
};

/// What a policy needs to know when it is made.
struct PolicySetup {
    /// The largest frame that will ever be named. Reserve memory for all, and touch only that of frames in use: the
    /// capacity is the machine's memory in pages.
    std::size_t capacity = 0;
    /// The limit of resident memory now, in frames of 4 KiB. A page larger than 4 KiB takes one FrameId and counts as
    /// several frames here.
    std::size_t frames = 0;
    /// `Config::staging_percent`.
    unsigned staging_percent = 0;
};

/// Chooses the page to evict when frames run short.
///
/// **Ownership of frames.** The policy has a frame from `mapped` or `put_back` on, until it returns it from `victim` or
/// the pager names it in `removed`. `referenced`, `demote` and `removed` name only frames that the policy has.
///
/// **Where it runs.** The pager makes one call at a time, with a lock held, in signal handlers and in its own threads.
/// So every function must be async-signal-safe: it must not allocate or free memory, lock, throw, or touch memory that
/// faultline manages. It should take less than a microsecond: all faults of the pager wait for it. The constructor may
/// allocate. After fork with `ForkPolicy::inherit`, the child uses its copy of the object.
///
/// **Errors.** If `victim` returns a frame that the policy does not have, or a tag above `Victim::kMaxTag`, the pager
/// logs an error, never calls the policy again, and evicts pages in the order of their frames. No page is lost.
class FAULTLINE_API ReplacementPolicy {
public:
    ReplacementPolicy() = default;
    ReplacementPolicy(const ReplacementPolicy&) = delete;
    ReplacementPolicy& operator=(const ReplacementPolicy&) = delete;
    virtual ~ReplacementPolicy();

    /// Adds `frame`, in which a page was mapped.
    virtual void mapped(FrameId frame, const Arrival& arrival) noexcept = 0;

    /// Removes the frame to evict next from the policy and returns it. Returns `kNoFrame` if the policy has no frame;
    /// if it has one, the pager then chooses a frame itself.
    [[nodiscard]] virtual Victim victim() noexcept = 0;

    /// Adds a victim again, which cannot be evicted now (pinned, or in use by a system call). It counts as just used.
    virtual void put_back(FrameId frame) noexcept = 0;

    /// Removes `frame`: its page was discarded, or evicted without a choice of the policy.
    virtual void removed(FrameId frame) noexcept = 0;

    /// Notes that the page in `frame` is in use: the program wrote to it while it was write-protected. The default
    /// ignores it.
    virtual void referenced(FrameId frame) noexcept;

    /// Notes that the program will not need the page in `frame` soon (`Advice::cold`): it should be evicted before
    /// others. The default ignores it.
    virtual void demote(FrameId frame) noexcept;

    /// Returns how many of `frames` frames the pager should keep staged: unmapped, so that a fault proves that the page
    /// is in use, and not yet free. The default is 0.
    [[nodiscard]] virtual std::size_t staging_target(std::size_t frames) const noexcept;

    /// Sets the limit of resident memory, in frames of 4 KiB. The default ignores it.
    virtual void resized(std::size_t frames) noexcept;

    /// Returns the bytes of memory that the policy takes for each frame that was ever in use, for
    /// `Config::memory_limit`. The default is 0.
    [[nodiscard]] virtual std::size_t bytes_per_frame() const noexcept;
};

/// Makes a policy. Called once by the constructor of `Pager`, which passes on what it throws.
using PolicyFactory = std::function<std::unique_ptr<ReplacementPolicy>(const PolicySetup&)>;

}  // namespace v0
}  // namespace faultline
