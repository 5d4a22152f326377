#include "policy/prefetch_streams.hpp"

#include "core/check.hpp"
#include "core/page_word.hpp"

#include <algorithm>
#include <limits>

namespace faultline::policy {
namespace {

// A walk does not fault on resident pages, and some walks skip pages. The next fault of a walk may be this many pages
// past the expected one.
constexpr std::int64_t kSlack = 16;

// The older a stream, the likelier a nearby fault matches it by coincidence. Beyond this staleness (see `staleness`, in
// faults) a candidate matches no more, and a walk matches only its very next page.
constexpr std::int64_t kTooStale = 32;

// A walk that skips this many consecutive tripwires skips most pages: it may have changed to a longer stride.
constexpr std::uint8_t kMostSkippedTripwires = 3;

// Ranks of matches, the strongest first: a walk's very next page (later pages add to the rank), a candidate's step, a
// page proposed before. Streams of the faulting thread come before those of others.
constexpr std::uint32_t kVeryNext = 2;
constexpr std::uint32_t kStep = 3;
constexpr std::uint32_t kInside = 100;
constexpr std::uint32_t kAgain = 101;
constexpr std::uint32_t kOtherThread = 1000;  // added to the rank

// Reading this many bytes costs what reading one small page costs. A shorter first window saves the device nothing; a
// longer one costs more.
constexpr std::size_t kCheapBytes = std::size_t{64} << 10;

constexpr std::uint32_t kLongestWindow = PrefetchStreams::kMostBytes / core::kUnitBytes;
static_assert(kLongestWindow <= std::numeric_limits<std::uint16_t>::max(), "lengths of windows are kept in 16 bits");

/// Returns how many pages can be read with the faulting one at next to no cost.
constexpr std::uint32_t cheap_pages(std::size_t page_bytes) noexcept {
    return page_bytes < kCheapBytes ? static_cast<std::uint32_t>(kCheapBytes / page_bytes) - 1 : 0;
}

constexpr std::int64_t magnitude(std::int64_t distance) noexcept { return distance < 0 ? -distance : distance; }

constexpr std::uint32_t fold(std::uint64_t thread) noexcept {
    return static_cast<std::uint32_t>(thread) ^ static_cast<std::uint32_t>(thread >> 32);
}

/// Returns the largest count of a window that begins one stride after page `from`.
constexpr std::uint32_t room(std::int64_t from, std::int64_t stride, const PrefetchBounds& bounds) noexcept {
    const auto pages = static_cast<std::int64_t>(bounds.region_pages);
    const std::int64_t to_the_end = stride > 0 ? pages - 1 - from : from;
    const bool gaps = magnitude(stride) != 1;
    const std::int64_t reach = gaps ? std::min(to_the_end, std::int64_t{bounds.reach}) : to_the_end;
    if (reach <= 0) return 0;
    const auto in_a_read = static_cast<std::int64_t>(PrefetchStreams::kMostBytes / bounds.page_bytes);
    return static_cast<std::uint32_t>(
        std::min({reach / magnitude(stride), in_a_read, std::int64_t{bounds.most_pages}}));
}

}  // namespace

// ---- windows

std::uint64_t PrefetchWindow::page(std::uint32_t index) const FAULTLINE_SIGNAL_SAFE {
    return first + static_cast<std::uint64_t>(std::int64_t{index} * stride);
}

std::uint64_t PrefetchWindow::lowest() const FAULTLINE_SIGNAL_SAFE {
    return stride > 0 || count == 0 ? first : page(count - 1);
}

std::uint64_t PrefetchWindow::span() const FAULTLINE_SIGNAL_SAFE {
    return count == 0 ? 0 : static_cast<std::uint64_t>((count - 1) * magnitude(stride) + 1);
}

std::uint64_t PrefetchWindow::mask_from(std::uint64_t base) const FAULTLINE_SIGNAL_SAFE {
    const auto step = static_cast<std::uint64_t>(magnitude(stride));
    // Pages of the window below `base`, counted from the lowest.
    const std::uint64_t skipped = base > lowest() ? (base - lowest() - 1) / step + 1 : 0;
    std::uint64_t mask = 0;
    std::uint64_t bit = lowest() + skipped * step - base;
    for (std::uint64_t index = skipped; index < count && bit < 64; ++index, bit += step)
        mask |= std::uint64_t{1} << bit;
    return mask;
}

bool PrefetchWindow::continues(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
    return count > 0 && first == page + static_cast<std::uint64_t>(std::int64_t{stride});
}

PrefetchWindow PrefetchWindow::front(std::uint32_t most) const FAULTLINE_SIGNAL_SAFE {
    PrefetchWindow part = *this;
    part.count = std::min(count, most);
    return part;
}

PrefetchWindow PrefetchWindow::without_front(std::uint32_t most) const FAULTLINE_SIGNAL_SAFE {
    PrefetchWindow part = *this;
    const std::uint32_t skipped = std::min(count, most);
    part.first = page(skipped);
    part.count -= skipped;
    return part;
}

// ---- matching a fault to a stream

static_assert(sizeof(PrefetchStreams) <= 704, "each fault scans all of it: keep it to a few cache lines");

struct PrefetchStreams::FaultPoint {
    explicit FaultPoint(const PrefetchFault& fault) noexcept
        : region{core::PageRef::from(fault.page).region},
          page{core::PageRef::from(fault.page).page},
          thread{fold(fault.thread)},
          kind{fault.kind},
          write{fault.write} {}

    std::uint32_t region;
    std::int64_t page;
    std::uint32_t thread;
    Kind kind;
    bool write;
};

PrefetchStreams::Match PrefetchStreams::match_stream(Stream& stream,
                                                     const FaultPoint& point) const FAULTLINE_SIGNAL_SAFE {
    if (stream.state == State::unused || stream.region != point.region) return {};
    const bool walk = stream.state == State::walk;
    const bool other_thread = stream.thread != point.thread;
    const std::int64_t step = point.page - stream.last;
    Match match;
    if (step == 0) {
        match = {&stream, Relation::again, kAgain};
    } else if (walk) {
        match = match_walk(stream, point);
    } else if (magnitude(step) == 1 || step == stream.stride) {
        match = {&stream, Relation::step, kStep};
    }
    if (match.stream == nullptr) return {};
    // A walk may move to another thread, but each thread may also have its own walk nearby: then only exact
    // matches count.
    const bool exact = step == 0 || match.rank == kVeryNext;
    if (!exact && ((walk && other_thread) || staleness(stream) > kTooStale)) return {};
    if (other_thread) match.rank += kOtherThread;
    return match;
}

PrefetchStreams::Match PrefetchStreams::match_walk(Stream& stream, const FaultPoint& point) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t stride = magnitude(stream.stride);
    const std::int64_t direction = stream.stride < 0 ? -1 : 1;
    const std::int64_t distance = (point.page - stream.last) * direction;
    const std::int64_t asked_for = (std::int64_t{stream.edge} - stream.last) * direction;
    if (distance <= 0 || distance > asked_for + stride + kSlack || distance % stride != 0) return {};
    if (distance <= asked_for) return {&stream, Relation::inside, kInside};
    const std::int64_t strides_ahead = (distance - asked_for) / stride;
    return {&stream, Relation::ahead, static_cast<std::uint32_t>(kVeryNext * strides_ahead)};
}

PrefetchStreams::Match PrefetchStreams::find(const FaultPoint& point) FAULTLINE_SIGNAL_SAFE {
    Match best;
    for (Stream& stream : streams_) {
        const Match match = match_stream(stream, point);
        if (match.rank < best.rank) best = match;
    }
    return best;
}

/// Returns the distance from the nearest last fault of the same thread, in pages; 0 if none is within kLongestStride.
std::int64_t PrefetchStreams::nearest_step(const FaultPoint& point) const FAULTLINE_SIGNAL_SAFE {
    std::int64_t nearest = 0;
    for (const Stream& stream : streams_) {
        if (stream.state == State::unused || stream.region != point.region || stream.thread != point.thread) continue;
        const std::int64_t step = point.page - stream.last;
        if (step == 0 || magnitude(step) > kLongestStride) continue;
        if (nearest == 0 || magnitude(step) < magnitude(nearest)) nearest = step;
    }
    return nearest;
}

/// Returns for how many faults the stream has been idle, beyond the time that a walk needs to go through its window.
std::int64_t PrefetchStreams::staleness(const Stream& stream) const FAULTLINE_SIGNAL_SAFE {
    if (stream.state == State::unused) return std::numeric_limits<std::int64_t>::max();
    const std::int64_t idle = now_ - stream.used_at;
    if (stream.state == State::candidate) return idle;
    return idle - (stream.used_a_window ? 2 : 1) * std::int64_t{stream.window};
}

/// Returns the stream to replace by a new one.
PrefetchStreams::Stream& PrefetchStreams::stalest() FAULTLINE_SIGNAL_SAFE {
    Stream* stalest = &streams_[0];
    std::int64_t most = staleness(*stalest);
    for (Stream& stream : streams_) {
        const std::int64_t here = staleness(stream);
        if (here <= most) continue;
        most = here;
        stalest = &stream;
    }
    learn_from_finished(*stalest);
    return *stalest;
}

// ---- learning from finished walks

// Many walks are short runs: records, rows, nodes of a tree. Each signal raises its number by more than it lowers it,
// in the ratio in which a missing page costs more than a useless one.

/// Called when a stream is replaced: no fault continued its walk.
void PrefetchStreams::learn_from_finished(const Stream& stream) FAULTLINE_SIGNAL_SAFE {
    if (stream.state != State::walk) return;
    if (stream.awaits_step) continuation_ = std::max(continuation_, 1U) - 1;
    if (stream.proposed && !stream.used_a_window) first_window_ = std::max(first_window_ - 1, kShortestWindow);
}

/// Returns whether a walk that has made one step must make another before it gets a window. One walk in eight always
/// must: where windows come early, only those walks show how many runs end after two pages.
bool PrefetchStreams::requires_second_step() FAULTLINE_SIGNAL_SAFE {
    return continuation_ < kMostContinuation / 2 || ++early_walks_ % 8 == 0;
}

// ---- updating streams

PrefetchWindow PrefetchStreams::on_fault(const PrefetchFault& fault, const PrefetchBounds& bounds,
                                         AccessAdvice advice) FAULTLINE_SIGNAL_SAFE {
    if (advice == AccessAdvice::random) return {};
    const FaultPoint point{fault};
    FAULTLINE_INVARIANT(static_cast<std::uint64_t>(point.page) < bounds.region_pages && bounds.page_bytes != 0);
    ++now_;
    if (fault.kind == Kind::tripwire) return at_tripwire(point, bounds);
    const Match match = find(point);
    const bool walks_on = match.relation == Relation::ahead || match.relation == Relation::inside;
    if (advice == AccessAdvice::sequential && !walks_on) return start_at_once(match.stream, point, bounds);
    switch (match.relation) {
        case Relation::none:
            start_candidate(point);
            return {};
        case Relation::again:
            record_fault(*match.stream, point);
            return {};
        case Relation::step:
            start_walk(*match.stream, point, bounds);
            break;
        case Relation::inside:
            // A proposal of stored pages does not cover first touches between them, and the reverse: only the same kind
            // counts.
            if (match.stream->kind == point.kind && fault.evicted_recently) halve(*match.stream);
            break;
        case Relation::ahead:
            continue_walk(*match.stream, match.rank > kVeryNext);
            break;
    }
    record_fault(*match.stream, point);
    return match.stream->state == State::walk ? propose_window(*match.stream, point.page, point.kind, bounds)
                                              : PrefetchWindow{};
}

/// Continues a walk that faults beyond the pages it was given. `leaves_pages_out`: it skipped its very next page.
void PrefetchStreams::continue_walk(Stream& stream, bool leaves_pages_out) FAULTLINE_SIGNAL_SAFE {
    if (!leaves_pages_out) stream.skipped_tripwires = 0;
    const bool skipped = stream.tripwire != 0 && leaves_pages_out && magnitude(stream.stride) == 1;
    if (skipped && ++stream.skipped_tripwires == kMostSkippedTripwires) {
        stream = {.region = stream.region, .state = State::candidate};
        return;
    }
    if (stream.awaits_step) continuation_ = std::min(continuation_ + 4, kMostContinuation);
    stream.awaits_step = false;
    if (stream.edge != stream.last) grow_window(stream);
    stream.equal_steps = 2;
}

bool PrefetchStreams::has_tripwire_at(const Stream& stream, const FaultPoint& point) FAULTLINE_SIGNAL_SAFE {
    return stream.tripwire != 0 && stream.region == point.region &&
           stream.edge - std::int64_t{stream.tripwire} * stream.stride == point.page;
}

bool PrefetchStreams::is_tripwire(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
    const FaultPoint point{{.page = page}};
    return std::ranges::any_of(streams_, [&](const Stream& stream) { return has_tripwire_at(stream, point); });
}

PrefetchWindow PrefetchStreams::at_tripwire(const FaultPoint& point,
                                            const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    for (Stream& stream : streams_) {
        if (!has_tripwire_at(stream, point)) continue;
        stream.skipped_tripwires = 0;
        grow_window(stream);
        record_fault(stream, point);
        return propose_window(stream, stream.edge, Kind::hard, bounds);
    }
    return {};
}

PrefetchWindow PrefetchStreams::start_at_once(Stream* known, const FaultPoint& point,
                                              const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    const bool backward = nearest_step(point) == -1;
    Stream& stream = known != nullptr ? *known : stalest();
    stream = {.region = point.region, .window = kLongestWindow, .cap = kLongestWindow};
    stream.stride = backward ? -1 : 1;
    stream.state = State::walk;
    stream.equal_steps = 2;
    stream.used_a_window = true;
    record_fault(stream, point);
    return propose_window(stream, point.page, point.kind, bounds);
}

void PrefetchStreams::start_candidate(const FaultPoint& point) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t step = nearest_step(point);
    Stream& stream = stalest();
    stream = {.region = point.region, .stride = static_cast<std::int8_t>(step), .state = State::candidate};
    stream.equal_steps = step != 0;
    record_fault(stream, point);
}

void PrefetchStreams::start_walk(Stream& stream, const FaultPoint& point,
                                 const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t step = point.page - stream.last;
    drop_candidate(stream.region, stream.last - step);
    stream.equal_steps = step == stream.stride ? 2 : 1;
    stream.stride = static_cast<std::int8_t>(step);
    stream.state = State::walk;
    stream.awaits_step = stream.equal_steps == 1 && point.kind == Kind::hard && requires_second_step();
    stream.cap = kUsualCap;
    const std::uint32_t first = point.kind == Kind::hard ? std::min(first_window_, cheap_pages(bounds.page_bytes)) : 0;
    stream.window = static_cast<std::uint16_t>(std::max(first, kShortestWindow));
}

/// Removes the candidate that this walk began as two steps ago: it would match other faults nearby.
void PrefetchStreams::drop_candidate(std::uint32_t region, std::int64_t page) FAULTLINE_SIGNAL_SAFE {
    for (Stream& stream : streams_) {
        if (stream.state == State::candidate && stream.region == region && stream.last == page) stream = {};
    }
}

/// Lengthens the next window: the walk has reached the end of the last one, or its tripwire.
void PrefetchStreams::grow_window(Stream& stream) FAULTLINE_SIGNAL_SAFE {
    if (stream.proposed && !stream.used_a_window) {
        first_window_ = std::min(first_window_ + 2, cheap_pages(core::kUnitBytes));
    }
    stream.used_a_window = true;
    std::uint32_t cap = stream.cap;
    if (cap < kUsualCap) {
        cap = std::min(cap + 2, kUsualCap);
    } else if (stream.length == cap) {
        if (stream.to_prove > 0) --stream.to_prove;
        if (stream.to_prove == 0) cap = std::min(2 * cap, kLongestWindow);
    }
    stream.cap = static_cast<std::uint16_t>(cap);
    stream.window = static_cast<std::uint16_t>(std::min(2 * std::uint32_t{stream.window}, cap));
}

void PrefetchStreams::record_fault(Stream& stream, const FaultPoint& point) const FAULTLINE_SIGNAL_SAFE {
    stream.last = static_cast<std::uint32_t>(point.page);
    stream.thread = point.thread;
    stream.used_at = now_;
    stream.writes = point.write ? std::min<std::uint8_t>(stream.writes + 1, kWritesThatProve) : 0;
    if (stream.state == State::candidate) stream.edge = stream.last;
}

/// Halves the cap, once per window, however many of the window's pages were evicted unused.
void PrefetchStreams::halve(Stream& stream) FAULTLINE_SIGNAL_SAFE {
    if (stream.halved) return;
    stream.halved = true;
    stream.to_prove = kWindowsThatProveAgain;
    const std::uint32_t half = std::min(stream.cap, stream.length) / 2U;
    stream.cap = static_cast<std::uint16_t>(std::max(half, kShortestWindow));
    stream.window = std::min(stream.window, stream.cap);
}

/// Returns the next window, which begins one stride after page `from`, and records it in the stream.
PrefetchWindow PrefetchStreams::propose_window(Stream& stream, std::int64_t from, Kind kind,
                                               const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    std::uint32_t count = std::min<std::uint32_t>(stream.window, room(from, stream.stride, bounds));
    if (stream.awaits_step) count = 0;
    if (kind == Kind::first_touch) {
        // A zero page that is not used costs a frame and saves little: only for a steady walk without gaps.
        const bool sure = stream.equal_steps == 2 && magnitude(stream.stride) == 1;
        count = sure ? std::min(count, kMostZeros) : 0;
    }
    const auto number = [&](std::int64_t page) {
        return core::PageRef{stream.region, static_cast<std::uint32_t>(page)}.bits();
    };
    const std::int64_t edge = from + std::int64_t{count} * stream.stride;
    stream.edge = static_cast<std::uint32_t>(edge);
    stream.length = static_cast<std::uint16_t>(count);
    stream.kind = kind;
    stream.tripwire = 0;
    stream.halved = false;
    if (count == 0) return {};
    PrefetchWindow window{number(from + stream.stride), count, stream.stride};
    if (kind == Kind::first_touch) return window;
    window.for_writing = stream.used_a_window && stream.writes == kWritesThatProve;
    stream.proposed = true;
    if (count < kShortestWithTripwire || !stream.used_a_window) return window;
    stream.tripwire = static_cast<std::uint16_t>(count / 2);
    window.tripwire = number(edge - std::int64_t{stream.tripwire} * stream.stride);
    return window;
}

}  // namespace faultline::policy
