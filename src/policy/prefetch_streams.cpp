#include "policy/prefetch_streams.hpp"

#include "core/check.hpp"
#include "core/page_word.hpp"

#include <algorithm>
#include <limits>

namespace faultline::policy {
namespace {

// A walk skips pages that are resident, and some walks leave pages out: its next fault may come this many pages late.
constexpr std::int64_t kSlack = 16;

// What a stream stands near to by chance grows with the faults that pass: after so many that it could have had its own
// (see `staleness`), a candidate is none any more, and a walk goes on at its very next page only.
constexpr std::int64_t kTooStale = 32;

// A walk that passes by so many tripwires in order leaves out most pages: perhaps it has taken a longer stride.
constexpr std::uint8_t kMostPassedBy = 3;

// How strong a stream's claim to a fault is, the lowest first: a walk's very next page (later ones count up from it), a
// candidate's step, a page asked for before. One's own streams come before others'.
constexpr std::uint32_t kVeryNext = 2;
constexpr std::uint32_t kStep = 3;
constexpr std::uint32_t kInside = 100;
constexpr std::uint32_t kAgain = 101;
constexpr std::uint32_t kOtherThread = 1000;  // added

// Reading this much costs what reading one small page costs: a first window need not be shorter for the device's sake,
// and should not be longer.
constexpr std::size_t kCheapBytes = std::size_t{64} << 10;

constexpr std::uint32_t kLongestWindow = PrefetchStreams::kMostBytes / core::kUnitBytes;
static_assert(kLongestWindow <= std::numeric_limits<std::uint16_t>::max(), "lengths of windows are kept in 16 bits");

/// How many pages come cheaply with the faulting one.
constexpr std::uint32_t cheap_pages(std::size_t page_bytes) noexcept {
    return page_bytes < kCheapBytes ? static_cast<std::uint32_t>(kCheapBytes / page_bytes) - 1 : 0;
}

constexpr std::int64_t magnitude(std::int64_t distance) noexcept { return distance < 0 ? -distance : distance; }

constexpr std::uint32_t fold(std::uint64_t thread) noexcept {
    return static_cast<std::uint32_t>(thread) ^ static_cast<std::uint32_t>(thread >> 32);
}

/// How many pages a window that begins one stride after page `from` may have.
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

std::uint64_t PrefetchWindow::page(std::uint32_t place) const FAULTLINE_SIGNAL_SAFE {
    return first + static_cast<std::uint64_t>(std::int64_t{place} * stride);
}

std::uint64_t PrefetchWindow::lowest() const FAULTLINE_SIGNAL_SAFE {
    return stride > 0 || count == 0 ? first : page(count - 1);
}

std::uint64_t PrefetchWindow::span() const FAULTLINE_SIGNAL_SAFE {
    return count == 0 ? 0 : static_cast<std::uint64_t>((count - 1) * magnitude(stride) + 1);
}

std::uint64_t PrefetchWindow::mask_from(std::uint64_t base) const FAULTLINE_SIGNAL_SAFE {
    const auto step = static_cast<std::uint64_t>(magnitude(stride));
    // The first page of the window that is not below `base`, by its place from the lowest.
    const std::uint64_t skipped = base > lowest() ? (base - lowest() - 1) / step + 1 : 0;
    std::uint64_t mask = 0;
    std::uint64_t bit = lowest() + skipped * step - base;
    for (std::uint64_t place = skipped; place < count && bit < 64; ++place, bit += step)
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

// ---- which stream a fault belongs to

static_assert(sizeof(PrefetchStreams) <= 704, "each fault looks at all of it: a few cache lines");

struct PrefetchStreams::Place {
    explicit Place(const PrefetchFault& fault) noexcept
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

PrefetchStreams::Match PrefetchStreams::relate(Stream& stream, const Place& place) const FAULTLINE_SIGNAL_SAFE {
    if (stream.state == State::unused || stream.region != place.region) return {};
    const bool walk = stream.state == State::walk;
    const bool other_thread = stream.thread != place.thread;
    const std::int64_t step = place.page - stream.last;
    Match match;
    if (step == 0) {
        match = {&stream, Relation::again, kAgain};
    } else if (walk) {
        match = relate_to_walk(stream, place);
    } else if (magnitude(step) == 1 || step == stream.stride) {
        match = {&stream, Relation::step, kStep};
    }
    if (match.stream == nullptr) return {};
    // A walk may change threads, but each thread may also have one of its own near by.
    const bool exact = step == 0 || match.rank == kVeryNext;
    if (!exact && ((walk && other_thread) || staleness(stream) > kTooStale)) return {};
    if (other_thread) match.rank += kOtherThread;
    return match;
}

PrefetchStreams::Match PrefetchStreams::relate_to_walk(Stream& stream, const Place& place) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t stride = magnitude(stream.stride);
    const std::int64_t direction = stream.stride < 0 ? -1 : 1;
    const std::int64_t distance = (place.page - stream.last) * direction;
    const std::int64_t asked_for = (std::int64_t{stream.edge} - stream.last) * direction;
    if (distance <= 0 || distance > asked_for + stride + kSlack || distance % stride != 0) return {};
    if (distance <= asked_for) return {&stream, Relation::inside, kInside};
    const std::int64_t strides_ahead = (distance - asked_for) / stride;
    return {&stream, Relation::ahead, static_cast<std::uint32_t>(kVeryNext * strides_ahead)};
}

PrefetchStreams::Match PrefetchStreams::find(const Place& place) FAULTLINE_SIGNAL_SAFE {
    Match best;
    for (Stream& stream : streams_) {
        const Match match = relate(stream, place);
        if (match.rank < best.rank) best = match;
    }
    return best;
}

/// From the nearest fault of the same thread, or 0.
std::int64_t PrefetchStreams::nearest_step(const Place& place) const FAULTLINE_SIGNAL_SAFE {
    std::int64_t nearest = 0;
    for (const Stream& stream : streams_) {
        if (stream.state == State::unused || stream.region != place.region || stream.thread != place.thread) continue;
        const std::int64_t step = place.page - stream.last;
        if (step == 0 || magnitude(step) > kLongestStride) continue;
        if (nearest == 0 || magnitude(step) < magnitude(nearest)) nearest = step;
    }
    return nearest;
}

/// In faults, beyond what a stream of its kind may wait for the next fault of its own: a walk has pages to go through.
std::int64_t PrefetchStreams::staleness(const Stream& stream) const FAULTLINE_SIGNAL_SAFE {
    if (stream.state == State::unused) return std::numeric_limits<std::int64_t>::max();
    const std::int64_t idle = now_ - stream.used_at;
    if (stream.state == State::candidate) return idle;
    return idle - (stream.settled ? 2 : 1) * std::int64_t{stream.window};
}

/// The stream whose place a new one takes.
PrefetchStreams::Stream& PrefetchStreams::stalest() FAULTLINE_SIGNAL_SAFE {
    Stream* stalest = &streams_[0];
    std::int64_t most = staleness(*stalest);
    for (Stream& stream : streams_) {
        const std::int64_t here = staleness(stream);
        if (here <= most) continue;
        most = here;
        stalest = &stream;
    }
    learn_from_end_of(*stalest);
    return *stalest;
}

// ---- what walks teach

// Most walks may be runs of a few pages: records, rows, nodes of a tree. Each signal moves its number up by more than
// it moves down, in the ratio in which a missing page costs more than a useless one.

/// A walk ends where nothing followed.
void PrefetchStreams::learn_from_end_of(const Stream& stream) FAULTLINE_SIGNAL_SAFE {
    if (stream.state != State::walk) return;
    if (stream.waits) goes_on_ = std::max(goes_on_, 1U) - 1;
    if (stream.asked && !stream.settled) first_window_ = std::max(first_window_ - 1, kShortestWindow);
}

/// Whether a walk that has made one step should make another before anything comes along. One in eight does in any
/// case: where windows come early, only those show how many runs end after two pages.
bool PrefetchStreams::waits_for_proof() FAULTLINE_SIGNAL_SAFE {
    return goes_on_ < kSurelyGoesOn / 2 || ++early_walks_ % 8 == 0;
}

// ---- what happens to a stream

PrefetchWindow PrefetchStreams::on_fault(const PrefetchFault& fault, const PrefetchBounds& bounds,
                                         AccessAdvice advice) FAULTLINE_SIGNAL_SAFE {
    if (advice == AccessAdvice::random) return {};
    const Place place{fault};
    FAULTLINE_INVARIANT(static_cast<std::uint64_t>(place.page) < bounds.region_pages && bounds.page_bytes != 0);
    ++now_;
    if (fault.kind == Kind::tripwire) return at_tripwire(place, bounds);
    const Match match = find(place);
    const bool walks_on = match.relation == Relation::ahead || match.relation == Relation::inside;
    if (advice == AccessAdvice::sequential && !walks_on) return start_at_once(match.stream, place, bounds);
    switch (match.relation) {
        case Relation::none:
            start_candidate(place);
            return {};
        case Relation::again:
            move(*match.stream, place);
            return {};
        case Relation::step:
            start_walk(*match.stream, place, bounds);
            break;
        case Relation::inside:
            // What comes with stored pages is no loss to a first touch between them, and the reverse.
            if (match.stream->kind == place.kind && fault.left_lately) halve(*match.stream);
            break;
        case Relation::ahead:
            go_on(*match.stream, match.rank > kVeryNext);
            break;
    }
    move(*match.stream, place);
    return match.stream->state == State::walk ? ask(*match.stream, place.page, place.kind, bounds) : PrefetchWindow{};
}

/// A walk faults beyond the pages it has asked for.
void PrefetchStreams::go_on(Stream& stream, bool leaves_pages_out) FAULTLINE_SIGNAL_SAFE {
    if (!leaves_pages_out) stream.passed_by = 0;
    const bool passed_by = stream.tripwire != 0 && leaves_pages_out && magnitude(stream.stride) == 1;
    if (passed_by && ++stream.passed_by == kMostPassedBy) {
        stream = {.region = stream.region, .state = State::candidate};
        return;
    }
    if (stream.waits) goes_on_ = std::min(goes_on_ + 4, kSurelyGoesOn);
    stream.waits = false;
    if (stream.edge != stream.last) used_up(stream);
    stream.equal_steps = 2;
}

bool PrefetchStreams::has_tripwire_at(const Stream& stream, const Place& place) FAULTLINE_SIGNAL_SAFE {
    return stream.tripwire != 0 && stream.region == place.region &&
           stream.edge - std::int64_t{stream.tripwire} * stream.stride == place.page;
}

bool PrefetchStreams::is_tripwire(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
    const Place place{{.page = page}};
    return std::ranges::any_of(streams_, [&](const Stream& stream) { return has_tripwire_at(stream, place); });
}

PrefetchWindow PrefetchStreams::at_tripwire(const Place& place, const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    for (Stream& stream : streams_) {
        if (!has_tripwire_at(stream, place)) continue;
        stream.passed_by = 0;
        used_up(stream);
        move(stream, place);
        return ask(stream, stream.edge, Kind::hard, bounds);
    }
    return {};
}

PrefetchWindow PrefetchStreams::start_at_once(Stream* known, const Place& place,
                                              const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    const bool backward = nearest_step(place) == -1;
    Stream& stream = known != nullptr ? *known : stalest();
    stream = {.region = place.region, .window = kLongestWindow, .cap = kLongestWindow};
    stream.stride = backward ? -1 : 1;
    stream.state = State::walk;
    stream.equal_steps = 2;
    stream.settled = true;
    move(stream, place);
    return ask(stream, place.page, place.kind, bounds);
}

void PrefetchStreams::start_candidate(const Place& place) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t step = nearest_step(place);
    Stream& stream = stalest();
    stream = {.region = place.region, .stride = static_cast<std::int8_t>(step), .state = State::candidate};
    stream.equal_steps = step != 0;
    move(stream, place);
}

void PrefetchStreams::start_walk(Stream& stream, const Place& place,
                                 const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t step = place.page - stream.last;
    forget_candidate(stream.region, stream.last - step);
    stream.equal_steps = step == stream.stride ? 2 : 1;
    stream.stride = static_cast<std::int8_t>(step);
    stream.state = State::walk;
    stream.waits = stream.equal_steps == 1 && place.kind == Kind::hard && waits_for_proof();
    stream.cap = kUsualCap;
    const std::uint32_t first = place.kind == Kind::hard ? std::min(first_window_, cheap_pages(bounds.page_bytes)) : 0;
    stream.window = static_cast<std::uint16_t>(std::max(first, kShortestWindow));
}

/// The candidate that a walk began as two steps ago would take other faults near by for its own.
void PrefetchStreams::forget_candidate(std::uint32_t region, std::int64_t page) FAULTLINE_SIGNAL_SAFE {
    for (Stream& stream : streams_) {
        if (stream.state == State::candidate && stream.region == region && stream.last == page) stream = {};
    }
}

/// The walk has come to the end of what it asked for, or to the tripwire on the way there.
void PrefetchStreams::used_up(Stream& stream) FAULTLINE_SIGNAL_SAFE {
    if (stream.asked && !stream.settled) {
        first_window_ = std::min(first_window_ + 2, cheap_pages(core::kUnitBytes));
    }
    stream.settled = true;
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

void PrefetchStreams::move(Stream& stream, const Place& place) const FAULTLINE_SIGNAL_SAFE {
    stream.last = static_cast<std::uint32_t>(place.page);
    stream.thread = place.thread;
    stream.used_at = now_;
    stream.writes = place.write ? std::min<std::uint8_t>(stream.writes + 1, kWritesThatProve) : 0;
    if (stream.state == State::candidate) stream.edge = stream.last;
}

/// Once for a window, however many of its pages go unused.
void PrefetchStreams::halve(Stream& stream) FAULTLINE_SIGNAL_SAFE {
    if (stream.halved) return;
    stream.halved = true;
    stream.to_prove = kWindowsThatProveAgain;
    const std::uint32_t half = std::min(stream.cap, stream.length) / 2U;
    stream.cap = static_cast<std::uint16_t>(std::max(half, kShortestWindow));
    stream.window = std::min(stream.window, stream.cap);
}

/// The window that begins one stride after page `from`.
PrefetchWindow PrefetchStreams::ask(Stream& stream, std::int64_t from, Kind kind,
                                    const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE {
    std::uint32_t count = std::min<std::uint32_t>(stream.window, room(from, stream.stride, bounds));
    if (stream.waits) count = 0;
    if (kind == Kind::first_touch) {
        // Zeros nobody asked for cost a frame and save little: only for a sure walk that leaves nothing out.
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
    window.for_writing = stream.settled && stream.writes == kWritesThatProve;
    stream.asked = true;
    if (count < kShortestWithTripwire || !stream.settled) return window;
    stream.tripwire = static_cast<std::uint16_t>(count / 2);
    window.tripwire = number(edge - std::int64_t{stream.tripwire} * stream.stride);
    return window;
}

}  // namespace faultline::policy
