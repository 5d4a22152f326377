// PagerModel does what src/pager does, step by step in the same order. Its functions and the classes they follow:
// answer and take_back: FaultResolver; bring_in and map: PageFill; reserve_frame and keep_house: FrameReclaimer;
// free_frames to unmap: Evictor and Stager; finish and evict: BatchFinisher; the constructor's figures: LimitKeeper.
#include "replay/pager_model.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace bench {

using faultline::Arrival;
using faultline::FrameId;
using faultline::kNoFrame;
using faultline::Victim;
using faultline::core::Departure;

namespace {

constexpr std::size_t kFewFrames = 256;
constexpr std::size_t kMostPagesPerBatch = 256;

}  // namespace

PagerModel::PagerModel(const DenseTrace& trace, const PagerSettings& settings,
                       const faultline::PolicyFactory& make_policy)
    : settings_{settings},
      policy_{make_policy({settings.frames, settings.frames, settings.staging_percent})},
      page_in_(settings.frames + 1),
      pages_(trace.pages) {
    const std::size_t frames = settings.frames;
    if (frames < 2) throw std::invalid_argument{"a pager needs two frames at least"};
    for (std::size_t frame = frames; frame > 0; --frame) free_frame_ids_.push_back(static_cast<FrameId>(frame));
    const bool few = frames < kFewFrames;
    low_water_ = few ? 0 : frames / 100;
    high_water_ = few ? 0 : frames / 50;
    staging_target_ = few ? 0 : policy_->staging_target(frames);
    direct_batch_ = std::clamp<std::size_t>(frames / 512, std::clamp<std::size_t>(frames / 32, 1, 8), 64);
}

void PagerModel::answer(PageIndex number, bool write) {
    Page& page = pages_[number];
    if (page.where == Where::mapped) {
        if (write) write_to_mapped(page);
        return;
    }
    // Finding a frame for a staged page may finish the page's own batch. The page must then be read like any other.
    if (page.where != Where::staged || !take_back(number, write)) bring_in(number, write);
    if (settings_.evictor == EvictorKind::background && settings_.frames - used_ < low_water_) keep_house();
}

void PagerModel::write_to_mapped(Page& page) {
    page.dirty = true;
    if (!std::exchange(page.is_protected, false)) return;
    ++counting().protection_faults;
    policy_->referenced(page.frame);
}

void PagerModel::bring_in(PageIndex number, bool write) {
    reserve_frame();
    const Page& page = pages_[number];
    if (page.where == Where::nowhere) {
        ++counting().first_touches;
        map(number, true, {Arrival::Kind::first_touch});
        return;
    }
    ++counting().hard_faults;
    const Arrival arrival{Arrival::Kind::hard_fault, page.departure.evictions_until(departures_), page.departure.tag()};
    if (settings_.evicts_during_reads) evict_during_read();
    map(number, write, arrival);
}

bool PagerModel::take_back(PageIndex number, bool write) {
    Page& page = pages_[number];
    const bool frame_goes_along = settings_.frame_of_staged == FrameOfStaged::stays ||
                                  (settings_.frame_of_staged == FrameOfStaged::moves && write);
    if (frame_goes_along) {
        page.batch->entries[page.entry].holds_frame = false;
    } else {
        reserve_frame();
        if (page.where != Where::staged) {
            --used_;
            return false;
        }
    }
    ++counting().soft_faults;
    map(number, write, {Arrival::Kind::soft_fault});
    return true;
}

/// Maps the page into the frame that was reserved for it.
void PagerModel::map(PageIndex number, bool dirty, const Arrival& arrival) {
    const FrameId frame = free_frame_ids_.back();
    free_frame_ids_.pop_back();
    page_in_[frame] = number;
    Page& page = pages_[number];
    page.where = Where::mapped;
    page.frame = frame;
    page.dirty = dirty;
    page.is_protected = false;
    policy_->mapped(frame, arrival);
}

// ---- frames

void PagerModel::reserve_frame() {
    while (used_ == settings_.frames) {
        const std::size_t keep_staged = settings_.evictor == EvictorKind::background ? 0 : staging_target_;
        if (!free_frames(1, direct_batch_, keep_staged).progress) throw std::logic_error{"no page can leave"};
    }
    ++used_;
}

void PagerModel::evict_during_read() {
    constexpr std::size_t kMostPages = 32;
    const std::size_t pages = std::min(kMostPages, direct_batch_);
    if (settings_.frames - used_ < pages) free_frames(pages, pages, staging_target_);
}

void PagerModel::keep_house() {
    while (settings_.frames - used_ < high_water_) {
        const std::size_t wanted = std::min(high_water_ - (settings_.frames - used_), kMostPagesPerBatch);
        if (!free_frames(wanted, wanted, staging_target_).progress) return;
    }
}

PagerModel::Reclaimed PagerModel::free_frames(std::size_t wanted, std::size_t pages_at_once, std::size_t keep_staged) {
    Reclaimed total;
    const auto add = [&total](const Reclaimed& more) {
        total.frames += more.frames;
        total.progress |= more.progress;
    };
    while (total.frames < wanted) {
        std::unique_ptr<Batch> oldest = pop_oldest(keep_staged);
        if (!oldest) {
            const Reclaimed staged = stage_victims(pages_at_once, keep_staged > 0);
            add(staged);
            if (staged.progress) continue;
            oldest = pop_oldest(0);  // no mapped page can be evicted, so staged pages are
            if (!oldest) return total;
        }
        add(finish(*oldest));
    }
    return total;
}

std::unique_ptr<PagerModel::Batch> PagerModel::pop_oldest(std::size_t keep) {
    if (zone_.empty() || zone_pages_ <= keep) return nullptr;
    std::unique_ptr<Batch> batch = std::move(zone_.front());
    zone_.pop_front();
    zone_pages_ -= batch->entries.size();
    return batch;
}

std::vector<PagerModel::Chosen> PagerModel::choose(std::size_t most) {
    std::vector<Chosen> chosen;
    while (chosen.size() < most) {
        const Victim victim = policy_->victim();
        if (victim.frame == kNoFrame) break;
        chosen.push_back({page_in_[victim.frame], victim});
    }
    std::sort(chosen.begin(), chosen.end(), [](const auto& left, const auto& right) { return left.page < right.page; });
    return chosen;
}

PagerModel::Reclaimed PagerModel::stage_victims(std::size_t pages_at_once, bool wanted_back) {
    auto batch = std::make_unique<Batch>();
    Reclaimed result;
    for (const Chosen& chosen : choose(std::min(pages_at_once, kMostPagesPerBatch))) {
        Page& page = pages_[chosen.page];
        result.progress = true;
        unmap(chosen);
        protect_around(chosen.page);
        if (!page.dirty && !wanted_back) {
            evict(page);
            --used_;
            ++result.frames;
            continue;
        }
        if (std::exchange(page.dirty, false)) ++counting().written;
        page.where = Where::staged;
        page.batch = batch.get();
        page.entry = batch->entries.size();
        batch->entries.push_back({chosen.page, true});
    }
    if (!batch->entries.empty()) {
        zone_pages_ += batch->entries.size();
        zone_.push_back(std::move(batch));
    }
    return result;
}

/// Frees the frame's number. The frame itself still belongs to its page or its batch.
void PagerModel::unmap(const Chosen& chosen) {
    ++counting().unmapped;
    free_frame_ids_.push_back(chosen.victim.frame);
    pages_[chosen.page].tag = chosen.victim.tag;
}

PagerModel::Reclaimed PagerModel::finish(Batch& batch) {
    Reclaimed result;
    for (std::size_t i = 0; i < batch.entries.size(); ++i) {
        const Batch::Entry& entry = batch.entries[i];
        Page& page = pages_[entry.page];
        if (page.where == Where::staged && page.batch == &batch && page.entry == i) evict(page);
        if (!entry.holds_frame) continue;
        --used_;
        ++result.frames;
    }
    result.progress = result.frames > 0;
    return result;
}

/// Write-protects what is mapped in the victim's block.
void PagerModel::protect_around(PageIndex victim) {
    const std::size_t pages = settings_.protected_block;
    if (pages == 0) return;
    const std::size_t first = victim / pages * pages;
    const std::size_t end = std::min(first + pages, pages_.size());
    for (std::size_t page = first; page < end; ++page) pages_[page].is_protected |= pages_[page].where == Where::mapped;
}

void PagerModel::evict(Page& page) {
    page.where = Where::stored;
    page.departure = Departure::after(departures_++, page.tag);
    page.batch = nullptr;
}

}  // namespace bench
