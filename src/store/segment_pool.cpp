#include "store/segment_pool.hpp"

#include "sys/error.hpp"
#include "sys/mapping_limit.hpp"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <new>

namespace faultline::store {
namespace {

std::size_t segments_of(std::size_t bytes) noexcept { return bytes / SegmentPool::kSegmentBytes; }

}  // namespace

SegmentPool::SegmentPool(std::size_t capacity, std::size_t limit)
    : memory_{sys::Mapping::reserve(std::max(core::align_up(capacity, kSegmentBytes), kSegmentBytes), kSegmentBytes,
                                    true, "compressed pages")},
      segments_{segments_of(memory_.size())},
      records_{segments_ * sizeof(Segment), "a list of segments"} {
    if (segments_ > SlotWord::kMostSegments) {
        sys::throw_error(EINVAL, "Config::compressed_limit is too large: at most 1 TiB");
    }
    memory_.wipe_in_children();  // children find it empty: a fork that the child survives spills everything first
    // Segments become accessible one by one, when needed: an mlockall of the program fills accessible memory.
    if (const int error = memory_.set_part_access(0, memory_.size(), Access::none)) {
        sys::throw_mapping_error(error, "cannot protect the pool of compressed pages");
    }
    set_limit(limit);
}

Segment& SegmentPool::at(std::uint32_t index) const noexcept {
    return *std::launder(reinterpret_cast<Segment*>(&records_[index * sizeof(Segment)]));
}

std::size_t SegmentPool::held() const FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    return (used_.load() + warm_segments_) * kSegmentBytes;
}

void SegmentPool::set_limit(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    limit_.store(std::min(segments_of(bytes), segments_));
    for (;;) {
        Segment* warm = nullptr;
        {
            const std::scoped_lock lock{lock_};
            if (warm_.empty() || used_.load() + warm_segments_ <= limit_.load()) return;
            warm = &warm_.front();
            warm_.pop_front();
            --warm_segments_;
            used_.fetch_add(1);  // until its memory is returned
        }
        make_cold(*warm);
    }
}

// ---- Filling

SegmentPool::Room SegmentPool::reserve(std::size_t bytes, Purpose purpose) FAULTLINE_SIGNAL_SAFE {
    const std::uint32_t wanted = rounded(bytes);
    FAULTLINE_INVARIANT(wanted <= kSegmentBytes);
    Segment* fresh = nullptr;
    for (;;) {
        Segment* dead = nullptr;
        Room room;
        {
            const std::scoped_lock lock{lock_};
            if (open_ == nullptr || open_->used_bytes + wanted > kSegmentBytes) {
                dead = seal_open();
                if (fresh == nullptr) fresh = claim_unused(purpose);
                if (fresh != nullptr && fresh->accessible) open(*std::exchange(fresh, nullptr));
            }
            if (open_ != nullptr) room = room_in_open(wanted);
        }
        if (dead != nullptr) release(*dead);
        if (room) {
            if (fresh != nullptr) release(*fresh);  // another thread opened a segment first
            return room;
        }
        if (fresh == nullptr) return {};
        if (!make_accessible(*fresh)) {
            make_cold(*fresh);
            return {};
        }
    }
}

SegmentPool::Room SegmentPool::room_in_open(std::uint32_t bytes) {
    const EntryAddress entry{open_->index, open_->used_bytes};
    open_->used_bytes += bytes;
    open_->live_bytes.fetch_add(bytes);
    live_.fetch_add(bytes, std::memory_order_relaxed);
    open_->writers.enter();
    return {*open_, entry, address_of(entry)};
}

/// Seals the open segment. Returns it if all its entries are dead already: then the caller must release it.
Segment* SegmentPool::seal_open() {
    Segment* const segment = std::exchange(open_, nullptr);
    if (segment == nullptr) return nullptr;
    if (segment->live_bytes.load() == 0) {
        segment->state = Segment::State::unused;
        return segment;
    }
    segment->state = Segment::State::sealed;
    sealed_.push_back(*segment);
    return nullptr;
}

/// Takes an unused segment, which counts as used from here on. Returns null at the limit.
Segment* SegmentPool::claim_unused(Purpose purpose) {
    if (used_.load() >= limit_.load() + (purpose == Purpose::moving ? 1 : 0)) return nullptr;
    Segment* segment = nullptr;
    if (!warm_.empty()) {
        segment = &warm_.front();
        warm_.pop_front();
        --warm_segments_;
    } else if (!cold_.empty()) {
        segment = &cold_.front();
        cold_.pop_front();
    } else if (constructed_ < segments_) {
        segment = new (&records_[constructed_ * sizeof(Segment)]) Segment;
        segment->index = static_cast<std::uint32_t>(constructed_++);
    } else {
        return nullptr;
    }
    used_.fetch_add(1);
    return segment;
}

void SegmentPool::open(Segment& segment) {
    FAULTLINE_INVARIANT(segment.state == Segment::State::unused && segment.live_bytes.load() == 0);
    segment.state = Segment::State::open;
    segment.used_bytes = 0;
    open_ = &segment;
}

bool SegmentPool::make_accessible(Segment& segment) const FAULTLINE_SIGNAL_SAFE {
    segment.accessible = memory_.set_part_access(segment.index * kSegmentBytes, kSegmentBytes, Access::read_write) == 0;
    return segment.accessible;
}

// ---- Emptying

void SegmentPool::kill(EntryAddress entry, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    Segment& segment = at(entry.segment);
    const std::uint32_t dead = rounded(bytes);
    live_.fetch_sub(dead, std::memory_order_relaxed);
    if (segment.live_bytes.fetch_sub(dead) != dead) return;
    {
        const std::scoped_lock lock{lock_};
        // Checked again with the lock held: another thread may have seen it dead, too, and the segment may be in use
        // again.
        if (segment.state != Segment::State::sealed || segment.live_bytes.load() != 0) return;
        sealed_.erase(sealed_.iterator_to(segment));
        segment.state = Segment::State::unused;
    }
    release(segment);
}

Segment* SegmentPool::take_oldest() FAULTLINE_SIGNAL_SAFE {
    Segment* dead = nullptr;
    Segment* oldest = nullptr;
    {
        const std::scoped_lock lock{lock_};
        if (sealed_.empty()) dead = seal_open();
        if (!sealed_.empty()) oldest = take(sealed_.front());
    }
    if (dead != nullptr) release(*dead);
    if (oldest != nullptr) oldest->writers.wait_until_none();
    return oldest;
}

Segment* SegmentPool::take_sparse(std::size_t live) FAULTLINE_SIGNAL_SAFE {
    Segment* sparse = nullptr;
    {
        const std::scoped_lock lock{lock_};
        int examined = 0;
        for (Segment& segment : sealed_) {
            if (const std::size_t found = segment.live_bytes.load(); found <= live) {
                sparse = &segment;
                live = found;
            }
            if (++examined == kMostExamined) break;
        }
        if (sparse != nullptr) take(*sparse);
    }
    if (sparse != nullptr) sparse->writers.wait_until_none();
    return sparse;
}

/// Call with the lock held.
Segment* SegmentPool::take(Segment& segment) {
    sealed_.erase(sealed_.iterator_to(segment));
    segment.state = Segment::State::taken;
    return &segment;
}

bool SegmentPool::give_back(Segment& segment) FAULTLINE_SIGNAL_SAFE {
    {
        const std::scoped_lock lock{lock_};
        if (segment.live_bytes.load() != 0) {
            segment.state = Segment::State::sealed;
            sealed_.push_back(segment);
            return false;
        }
        segment.state = Segment::State::unused;
    }
    release(segment);
    return true;
}

/// Returns an unused segment that still counts as used to the warm or the cold list.
void SegmentPool::release(Segment& segment) FAULTLINE_SIGNAL_SAFE {
    segment.readers.wait_until_none();
    {
        const std::scoped_lock lock{lock_};
        if (warm_segments_ < kMostWarm && used_.load() + warm_segments_ <= limit_.load()) {
            warm_.push_front(segment);
            ++warm_segments_;
            used_.fetch_sub(1);
            return;
        }
    }
    make_cold(segment);
}

void SegmentPool::make_cold(Segment& segment) FAULTLINE_SIGNAL_SAFE {
    if (segment.accessible) memory_.discard_part(segment.index * kSegmentBytes, kSegmentBytes);
    const std::scoped_lock lock{lock_};
    cold_.push_front(segment);
    used_.fetch_sub(1);
}

}  // namespace faultline::store
