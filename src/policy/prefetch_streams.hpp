// PrefetchStreams: notices walks through pages, forward, backward or by a constant stride, and says which pages beside
// the faulting one should come in with it: stored pages for a hard fault, zeros for a first touch. Sixteen walks at
// once. Pure logic over page numbers: it knows nothing of what is resident, so the caller takes of a window what is
// absent and has a frame. The caller serialises calls; each looks at the sixteen streams once or twice. Signal-safe.
//
//   candidate  continued nothing so far; a fault on a neighbour, or a second step as long as the first, makes it a walk
//   walk       gets a window when a fault shows that the last one is used up, or half used up (its tripwire)
//
// The windows of a walk double up to the walk's cap. The cap is halved when pages of a window leave unused, and grows
// again by 2 with each window used up; several windows of the usual cap in order lift it, up to 1 MiB. The first window
// is as long as runs have lately been, so that short runs cost little: see `first_window_`.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::policy {

/// A fault as prefetching sees it. Page numbers are core::PageRef::bits(): the region's id above, its page below.
struct PrefetchFault {
    enum class Kind : std::uint8_t {
        hard,         ///< The page was in the store.
        first_touch,  ///< The page never had contents.
        tripwire,     ///< The page was left out of a window to tell when the walk gets there; see `is_tripwire`.
    };
    std::uint64_t page = 0;
    std::uint64_t thread = 0;  ///< Who faulted; 0 for all will do, but walks of two threads may then be taken for one.
    Kind kind = Kind::hard;
    bool write = false;
    /// The page was resident not long ago. One that was asked for and left before the walk got there says that windows
    /// are too long; one that is only late says nothing.
    bool left_lately = true;
};

/// What a window must keep within.
struct PrefetchBounds {
    std::uint64_t region_pages = 0;
    std::size_t page_bytes = core::kUnitBytes;
    std::uint32_t most_pages = ~std::uint32_t{0};  ///< Of a window: what there are frames for.
    /// How far the last page of a window with gaps may be from the fault (after a tripwire, from the window before), in
    /// pages: what a buffer holds, for who reads a window with its gaps.
    std::uint32_t reach = ~std::uint32_t{0};
};

/// What the program says of its accesses to the faulting page's range.
enum class AccessAdvice : std::uint8_t {
    normal,
    sequential,  ///< In order: the first fault gets the longest window. Forward, until a walk backward is seen.
    random,      ///< In no order: nothing comes along, and the streams stay as they are.
};

/// Pages of one region: `first`, `first + stride`, ... in the order of the walk, without the faulting page.
struct PrefetchWindow {
    static constexpr std::uint64_t kNoPage = ~std::uint64_t{0};

    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::int32_t stride = 1;           ///< -64 to 64, not 0.
    std::uint64_t tripwire = kNoPage;  ///< The page of the window to leave out, if any: its fault tells of the walk.
    bool for_writing = false;          ///< The walk writes to its pages.

    [[nodiscard]] std::uint64_t page(std::uint32_t place) const FAULTLINE_SIGNAL_SAFE;
    /// The first page by number, and how many there are up to the last, gaps included.
    [[nodiscard]] std::uint64_t lowest() const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t span() const FAULTLINE_SIGNAL_SAFE;
    /// A bit for each page of the window among the 64 from `base` on. A window may need several such words.
    [[nodiscard]] std::uint64_t mask_from(std::uint64_t base) const FAULTLINE_SIGNAL_SAFE;
    /// Whether it begins where `page` ends, so that both can come in together.
    [[nodiscard]] bool continues(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;
    /// The window in two: its first pages, at most `most`, and what is left. The tripwire stays with its page.
    [[nodiscard]] PrefetchWindow front(std::uint32_t most) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PrefetchWindow without_front(std::uint32_t most) const FAULTLINE_SIGNAL_SAFE;
};

class PrefetchStreams {
public:
    static constexpr std::size_t kStreams = 16;
    static constexpr std::int64_t kLongestStride = 64;         // pages
    static constexpr std::uint32_t kShortestWindow = 2;        // pages, as all windows below
    static constexpr std::uint32_t kUsualCap = 32;             // of a walk that has not proved long
    static constexpr std::uint32_t kMostZeros = 16;            // with one first touch
    static constexpr std::uint32_t kShortestWithTripwire = 8;  // a soft fault pays in a window of this length
    static constexpr std::size_t kMostBytes = std::size_t{1} << 20;

    /// What should come in with `fault`, besides its page.
    [[nodiscard]] PrefetchWindow on_fault(const PrefetchFault& fault, const PrefetchBounds& bounds,
                                          AccessAdvice advice = AccessAdvice::normal) FAULTLINE_SIGNAL_SAFE;

    /// Whether the page was left out of a window, so that a fault on it is of the kind `tripwire`.
    [[nodiscard]] bool is_tripwire(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

private:
    using Kind = PrefetchFault::Kind;
    enum class State : std::uint8_t { unused, candidate, walk };

    static constexpr std::uint8_t kWindowsThatProve = 4;
    static constexpr std::uint8_t kWindowsThatProveAgain = 32;  // once the cap was halved
    static constexpr std::uint8_t kWritesThatProve = 2;
    static constexpr std::uint32_t kSurelyGoesOn = 32;

    // Pages are indices in the region. The tripwire is told by its distance from the edge, in strides; 0 is none.
    struct Stream {
        std::uint32_t region = 0;
        std::uint32_t last = 0;    // the fault that came last
        std::uint32_t edge = 0;    // the last page asked for; `last` if nothing was
        std::uint32_t thread = 0;  // folded
        std::uint32_t used_at = 0;
        std::uint16_t window = 0;  // as long as the next one may be
        std::uint16_t cap = 0;
        std::uint16_t length = 0;  // of the window asked for last
        std::uint16_t tripwire = 0;
        std::int8_t stride = 0;  // of a candidate: the step that led to it, 0 if none did
        State state = State::unused;
        Kind kind = Kind::hard;                     // of the window between `last` and `edge`
        std::uint8_t equal_steps = 0;               // in order, up to 2
        std::uint8_t to_prove = kWindowsThatProve;  // windows of the cap's length to use up until the cap is lifted
        std::uint8_t passed_by = 0;                 // tripwires in order that the walk never touched
        bool asked = false;                         // for a window of stored pages, ever
        bool settled = false;                       // has used a window up, ever
        bool waits = false;                         // for a second step before it asks
        bool halved = false;                        // since the last window was asked for
        std::uint8_t writes = 0;                    // faults in order that were writes, up to kWritesThatProve
    };

    // What a fault is to a stream.
    enum class Relation : std::uint8_t {
        none,
        again,   // the page that came last
        step,    // makes a candidate a walk
        inside,  // a page that the walk has asked for: it did not come, or left before it was used
        ahead,   // next after the edge, or a few pages later: those between may be resident
    };
    struct Match {
        Stream* stream = nullptr;
        Relation relation = Relation::none;
        std::uint32_t rank = ~std::uint32_t{0};  // the lowest wins
    };
    struct Place;  // a fault, taken apart

    [[nodiscard]] Match relate(Stream& stream, const Place& place) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static Match relate_to_walk(Stream& stream, const Place& place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Match find(const Place& place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::int64_t nearest_step(const Place& place) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::int64_t staleness(const Stream& stream) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Stream& stalest() FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] static bool has_tripwire_at(const Stream& stream, const Place& place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PrefetchWindow at_tripwire(const Place& place, const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PrefetchWindow start_at_once(Stream* known, const Place& place,
                                               const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;
    void start_candidate(const Place& place) FAULTLINE_SIGNAL_SAFE;
    void start_walk(Stream& stream, const Place& place, const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;
    void forget_candidate(std::uint32_t region, std::int64_t page) FAULTLINE_SIGNAL_SAFE;
    void go_on(Stream& stream, bool leaves_pages_out) FAULTLINE_SIGNAL_SAFE;
    void used_up(Stream& stream) FAULTLINE_SIGNAL_SAFE;
    void move(Stream& stream, const Place& place) const FAULTLINE_SIGNAL_SAFE;
    static void halve(Stream& stream) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static PrefetchWindow ask(Stream& stream, std::int64_t from, Kind kind,
                                            const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] bool waits_for_proof() FAULTLINE_SIGNAL_SAFE;
    void learn_from_end_of(const Stream& stream) FAULTLINE_SIGNAL_SAFE;

    std::array<Stream, kStreams> streams_{};
    std::uint32_t now_ = 0;  // faults seen; only differences are used, so it may wrap

    // What is learned from walks that are over, for those that begin. They are counted when their streams are replaced.
    std::uint32_t first_window_ = kShortestWindow;
    std::uint32_t early_walks_ = 0;          // begun on one step
    std::uint32_t goes_on_ = kSurelyGoesOn;  // how surely two neighbours are followed by a third
};

}  // namespace faultline::policy
