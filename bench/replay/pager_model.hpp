// PagerModel: faultline's pager without pages, memory or threads. It answers one thread's references as src/pager does,
// with a frame budget, batches in a staging zone that finish oldest first, and the departure and policy tag of each
// absent page. It uses the library's own policy objects, which see the same calls as in the pager.
//
// Not modelled: read-ahead, pins, advice, pages larger than a frame, zero pages, failing stores, other threads, and the
// grip of ProgressGuard. The first touch of a page writes it, whatever the trace says, so an evicted page has a slot
// and is read when it is accessed again. The background evictor finishes as soon as it is woken.
#pragma once

#include "core/departure.hpp"
#include "replay/model.hpp"

#include <faultline/replacement_policy.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace bench {

/// Which thread evicts; `Config::background_evictor`.
enum class EvictorKind : std::uint8_t { faulting_thread, background };

/// What happens to a staged page's frame when a fault takes the page back; see `Mapper::should_unstage`.
enum class FrameOfStaged : std::uint8_t {
    moves,   ///< A write moves it back. A read takes another frame, and this one is freed when its batch is finished.
    copied,  ///< A read or a write takes another frame.
    stays,   ///< The frame stays in the memory file.
};

struct PagerSettings {
    std::size_t frames = 1024;
    EvictorKind evictor = EvictorKind::faulting_thread;
    FrameOfStaged frame_of_staged = FrameOfStaged::moves;
    /// A hard fault evicts a few pages while the disk reads, if free frames run short; `work_during_read` of
    /// FrameReclaimer. Only with EvictorKind::faulting_thread.
    bool evicts_during_reads = false;
    /// Eviction write-protects the aligned block of so many pages around each victim. The next write to a page of it
    /// that stays mapped is a protection fault, which the policy hears of as a reference. 0: it protects no page.
    std::size_t protected_block = 0;
    unsigned staging_percent = 0;  ///< For the policy; see faultline::PolicySetup.
};

class PagerModel final : public Model {
public:
    /// `settings.frames` is at least 2.
    PagerModel(const DenseTrace& trace, const PagerSettings& settings, const faultline::PolicyFactory& make_policy);

    [[nodiscard]] std::size_t frames_used() const noexcept override { return used_; }
    [[nodiscard]] const faultline::ReplacementPolicy& policy() const noexcept { return *policy_; }

private:
    enum class Where : std::uint8_t { nowhere, mapped, staged, stored };

    struct Batch;
    struct Page {
        Where where = Where::nowhere;
        bool dirty = false;
        bool is_protected = false;  // by eviction, while mapped
        std::uint8_t tag = 0;
        faultline::FrameId frame = faultline::kNoFrame;
        faultline::core::Departure departure;
        Batch* batch = nullptr;  // the batch in which it is staged
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
        faultline::Victim victim;
    };
    struct Reclaimed {
        std::size_t frames = 0;
        bool progress = false;
    };

    void answer(PageIndex number, bool write) override;
    void write_to_mapped(Page& page);
    void bring_in(PageIndex number, bool write);
    [[nodiscard]] bool take_back(PageIndex number, bool write);
    void map(PageIndex number, bool dirty, const faultline::Arrival& arrival);

    void evict_during_read();
    void reserve_frame();
    void keep_house();
    Reclaimed free_frames(std::size_t wanted, std::size_t pages_at_once, std::size_t keep_staged);
    [[nodiscard]] std::unique_ptr<Batch> pop_oldest(std::size_t keep);
    [[nodiscard]] std::vector<Chosen> choose(std::size_t most);
    Reclaimed stage_victims(std::size_t pages_at_once, bool wanted_back);
    Reclaimed finish(Batch& batch);
    void evict(Page& page);
    void protect_around(PageIndex victim);
    void unmap(const Chosen& chosen);

    PagerSettings settings_;
    std::unique_ptr<faultline::ReplacementPolicy> policy_;
    std::vector<PageIndex> page_in_;  // by frame
    std::vector<faultline::FrameId> free_frame_ids_;
    std::vector<Page> pages_;
    std::deque<std::unique_ptr<Batch>> zone_;
    std::size_t zone_pages_ = 0;  // entries of the batches in the zone, also of pages taken back
    std::size_t used_ = 0;        // frames in use: mapped, or held by batches
    std::uint32_t departures_ = 0;
    std::size_t staging_target_ = 0;
    std::size_t low_water_ = 0;
    std::size_t high_water_ = 0;
    std::size_t direct_batch_ = 1;
};

}  // namespace bench
