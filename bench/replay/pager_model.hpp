// PagerModel: faultline's pager without pages, memory or threads. One thread's references are answered as src/pager
// answers them: a frame budget, batches in a staging zone that are settled oldest first, a departure number and the
// policy's tag for each absent page; above it the policy objects of the library itself, which see what they see there.
//
// Left out: read-ahead, pins, advice, pages larger than a frame, pages of zeros, stores that fail, other threads, and
// the grip of the progress guard. The first touch of a page writes it, whatever the trace says: so it has a slot when
// it leaves, and is missed when it is wanted again. The background evictor works at once when it is woken.
#pragma once

#include "policy/replacement_policy.hpp"
#include "replay/model.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace bench {

/// Who evicts; `Config::background_evictor`.
enum class EvictorKind : std::uint8_t { faulting_thread, background };

/// What becomes of a staged page's frame when the page is taken back; see `mmu::StagedFrames`.
enum class FrameOfStaged : std::uint8_t {
    moves,   ///< A write brings it back. A read takes another frame, and this one is free when its batch is settled.
    copied,  ///< Read or write, another frame is taken.
    stays,   ///< It never left.
};

struct PagerSettings {
    std::size_t frames = 1024;
    EvictorKind evictor = EvictorKind::faulting_thread;
    FrameOfStaged frame_of_staged = FrameOfStaged::moves;
};

/// Makes a policy over storage for its frames; see FrameTable.
using PolicyFactory = std::function<std::unique_ptr<faultline::policy::ReplacementPolicy>(
    std::span<faultline::policy::FrameLinks>, std::span<faultline::policy::FrameId>, std::size_t frames)>;

class PagerModel final : public Model {
public:
    /// `settings.frames` is at least 2.
    PagerModel(const DenseTrace& trace, const PagerSettings& settings, const PolicyFactory& make_policy);

    [[nodiscard]] std::size_t frames_used() const noexcept override { return used_; }
    [[nodiscard]] const faultline::policy::ReplacementPolicy& policy() const noexcept { return *policy_; }

private:
    enum class Where : std::uint8_t { nowhere, mapped, staged, stored };

    struct Batch;
    struct Page {
        Where where = Where::nowhere;
        bool dirty = false;
        std::uint8_t tag = 0;
        faultline::policy::FrameId frame = faultline::policy::kNoFrame;
        std::uint32_t left_at = 0;
        Batch* batch = nullptr;  // where it is staged
        std::size_t entry = 0;
    };
    struct Batch {
        struct Entry {
            PageIndex page;
            bool holds_frame;
        };
        std::vector<Entry> entries;
    };
    struct Chosen {
        PageIndex page;
        faultline::policy::Victim victim;
    };
    struct Reclaimed {
        std::size_t frames = 0;
        bool progress = false;
    };

    void answer(PageIndex number, bool write) override;
    void bring_in(PageIndex number, bool write);
    [[nodiscard]] bool take_back(PageIndex number, bool write);
    void map(PageIndex number, bool dirty, const faultline::policy::Arrival& arrival);

    void reserve_frame();
    void keep_house();
    Reclaimed free_frames(std::size_t wanted, std::size_t pages_at_once, std::size_t keep_staged);
    [[nodiscard]] std::unique_ptr<Batch> pop_oldest(std::size_t keep);
    [[nodiscard]] std::vector<Chosen> choose(std::size_t most);
    Reclaimed stage_victims(std::size_t pages_at_once, bool wanted_back);
    Reclaimed settle(Batch& batch);
    void leave(Page& page);
    void unmap(const Chosen& chosen);

    PagerSettings settings_;
    std::vector<faultline::policy::FrameLinks> links_;
    std::vector<faultline::policy::FrameId> main_slots_;
    std::unique_ptr<faultline::policy::ReplacementPolicy> policy_;
    std::vector<PageIndex> page_in_;  // of each frame
    std::vector<faultline::policy::FrameId> free_frame_ids_;
    std::vector<Page> pages_;
    std::deque<std::unique_ptr<Batch>> zone_;
    std::size_t zone_pages_ = 0;  // entries of the batches in the zone, taken back or not
    std::size_t used_ = 0;        // frames: mapped, and held by batches
    std::uint32_t departures_ = 0;
    std::size_t staging_target_ = 0;
    std::size_t low_water_ = 0;
    std::size_t high_water_ = 0;
    std::size_t direct_batch_ = 1;
};

}  // namespace bench
