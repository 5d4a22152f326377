// PrefetchStreams: detects walks through pages (forward, backward, or by a constant stride) and proposes pages to bring
// in together with a faulting page: stored pages for a hard fault, zeros for a first touch. It follows sixteen walks at
// once. Pure logic over page numbers: it does not know which pages are resident. The caller takes only the absent
// pages of a window, and only as many as it has frames for. The caller (the pager, a simulator) serialises calls; each
// call scans the sixteen streams once or twice. Signal-safe.
//
//   candidate  has continued nothing so far. It becomes a walk by a fault on a neighbour page, or by a second step as
//              long as the first
//   walk       gets a new window when a fault shows that the last one is used up, or half used up (at its tripwire)
//
// The windows of a walk double up to the walk's cap. The cap is halved when pages of a window are evicted unused. It
// grows by 2 with each window used up; several consecutive windows of the usual cap raise it, up to 1 MiB. The first
// window is as long as recent runs were, so that short runs cost little: see `first_window_`.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::policy {

/// A fault as the detector sees it. Page numbers are core::PageRef::bits(): region id in the high half, page in the
/// low.
struct PrefetchFault {
    enum class Kind : std::uint8_t {
        hard,         ///< The page was read from the store.
        first_touch,  ///< The page never had contents.
        tripwire,     ///< The page was left out of a window, to detect that the walk reaches it; see `is_tripwire`.
    };
    std::uint64_t page = 0;
    /// The faulting thread. 0 for all is allowed; then walks of two threads may be taken for one walk.
    std::uint64_t thread = 0;
    Kind kind = Kind::hard;
    bool write = false;
    /// True if the page was evicted recently. A prefetched page that was evicted before the walk reached it shows that
    /// windows are too long. A page that merely arrives late shows nothing.
    bool evicted_recently = true;
};

/// Limits of a window.
struct PrefetchBounds {
    std::uint64_t region_pages = 0;
    std::size_t page_bytes = core::kUnitBytes;
    std::uint32_t most_pages = ~std::uint32_t{0};  ///< The largest count: as many frames as are available.
    /// Largest distance of a strided window's last page from the fault, in pages (after a tripwire: from the previous
    /// window). For callers that read a window with its gaps into one buffer.
    std::uint32_t reach = ~std::uint32_t{0};
};

/// What the program has advised for the faulting page's range.
enum class AccessAdvice : std::uint8_t {
    normal,
    sequential,  ///< In order: the first fault gets the longest window. Forward, until a backward walk is seen.
    random,      ///< In no order: no page is prefetched, and the streams do not change.
};

/// Proposed pages of one region: `first`, `first + stride`, ..., in the walk's order. The faulting page is not among
/// them.
struct PrefetchWindow {
    static constexpr std::uint64_t kNoPage = ~std::uint64_t{0};

    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::int32_t stride = 1;  ///< -64 to 64, not 0
    /// The page of the window to leave out, or kNoPage. A fault on it shows that the walk got there.
    std::uint64_t tripwire = kNoPage;
    bool for_writing = false;  ///< The walk writes to its pages: map them writable.

    /// Returns the page number at `index` in the walk's order.
    [[nodiscard]] std::uint64_t page(std::uint32_t index) const FAULTLINE_SIGNAL_SAFE;
    /// `lowest` returns the lowest page number; `span` how many pages lie from the lowest to the highest, gaps
    /// included.
    [[nodiscard]] std::uint64_t lowest() const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t span() const FAULTLINE_SIGNAL_SAFE;
    /// Returns a bit for each page of the window in [base, base + 64). A window may need several such words.
    [[nodiscard]] std::uint64_t mask_from(std::uint64_t base) const FAULTLINE_SIGNAL_SAFE;
    /// True if the window continues `page` by one stride, so that both can come in with one read.
    [[nodiscard]] bool continues(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;
    /// Split the window: `front` has its first `most` pages at most, `without_front` the rest. Both keep the tripwire.
    [[nodiscard]] PrefetchWindow front(std::uint32_t most) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PrefetchWindow without_front(std::uint32_t most) const FAULTLINE_SIGNAL_SAFE;
};

class PrefetchStreams {
public:
    static constexpr std::size_t kStreams = 16;
    static constexpr std::int64_t kLongestStride = 64;         // pages
    static constexpr std::uint32_t kShortestWindow = 2;        // pages, as all windows below
    static constexpr std::uint32_t kUsualCap = 32;             // of a walk that has not yet proved to be long
    static constexpr std::uint32_t kMostZeros = 16;            // with one first touch
    static constexpr std::uint32_t kShortestWithTripwire = 8;  // shorter windows do not repay the tripwire's soft fault
    static constexpr std::size_t kMostBytes = std::size_t{1} << 20;

    /// Returns the pages to bring in with `fault`, besides its own page. An empty window: none. Updates the streams.
    [[nodiscard]] PrefetchWindow on_fault(const PrefetchFault& fault, const PrefetchBounds& bounds,
                                          AccessAdvice advice = AccessAdvice::normal) FAULTLINE_SIGNAL_SAFE;

    /// True if the page was left out of a window as its tripwire. The caller then reports its fault as
    /// `Kind::tripwire`.
    [[nodiscard]] bool is_tripwire(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

private:
    using Kind = PrefetchFault::Kind;
    enum class State : std::uint8_t { unused, candidate, walk };

    static constexpr std::uint8_t kWindowsThatProve = 4;
    static constexpr std::uint8_t kWindowsThatProveAgain = 32;  // after the cap was halved
    static constexpr std::uint8_t kWritesThatProve = 2;
    static constexpr std::uint32_t kMostContinuation = 32;

    // Pages are indices in the region. `tripwire` is the distance from the edge, in strides; 0: none.
    struct Stream {
        std::uint32_t region = 0;
        std::uint32_t last = 0;    // the last fault of the stream
        std::uint32_t edge = 0;    // the last page proposed; equals `last` if none was
        std::uint32_t thread = 0;  // folded to 32 bits
        std::uint32_t used_at = 0;
        std::uint16_t window = 0;  // length of the next window, at most
        std::uint16_t cap = 0;
        std::uint16_t length = 0;  // of the last window
        std::uint16_t tripwire = 0;
        std::int8_t stride = 0;  // of a candidate: the step that led to it, 0 if none did
        State state = State::unused;
        Kind kind = Kind::hard;        // of the window between `last` and `edge`
        std::uint8_t equal_steps = 0;  // consecutive, up to 2
        // windows of the cap's length still to use up before the cap is raised
        std::uint8_t to_prove = kWindowsThatProve;
        std::uint8_t skipped_tripwires = 0;  // consecutive
        bool proposed = false;               // a window of stored pages was proposed at least once
        bool used_a_window = false;          // at least one window was used up
        bool awaits_step = false;            // proposes nothing before a second step
        bool halved = false;                 // the cap was halved since the last window
        std::uint8_t writes = 0;             // consecutive faults that were writes, up to kWritesThatProve
    };

    // How a fault relates to a stream.
    enum class Relation : std::uint8_t {
        none,
        again,   // the page of the stream's last fault
        step,    // turns a candidate into a walk
        inside,  // a page that was proposed, but is absent: it never came in, or was evicted unused
        ahead,   // the page after the edge, or a few later: pages between may be resident
    };
    struct Match {
        Stream* stream = nullptr;
        Relation relation = Relation::none;
        std::uint32_t rank = ~std::uint32_t{0};  // the lowest rank wins
    };
    struct FaultPoint;  // a PrefetchFault with its page number split into region and index

    [[nodiscard]] Match match_stream(Stream& stream, const FaultPoint& point) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static Match match_walk(Stream& stream, const FaultPoint& point) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Match find(const FaultPoint& point) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::int64_t nearest_step(const FaultPoint& point) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::int64_t staleness(const Stream& stream) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Stream& stalest() FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] static bool has_tripwire_at(const Stream& stream, const FaultPoint& point) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PrefetchWindow at_tripwire(const FaultPoint& point,
                                             const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PrefetchWindow start_at_once(Stream* known, const FaultPoint& point,
                                               const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;
    void start_candidate(const FaultPoint& point) FAULTLINE_SIGNAL_SAFE;
    void start_walk(Stream& stream, const FaultPoint& point, const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;
    void drop_candidate(std::uint32_t region, std::int64_t page) FAULTLINE_SIGNAL_SAFE;
    void continue_walk(Stream& stream, bool leaves_pages_out) FAULTLINE_SIGNAL_SAFE;
    void grow_window(Stream& stream) FAULTLINE_SIGNAL_SAFE;
    void record_fault(Stream& stream, const FaultPoint& point) const FAULTLINE_SIGNAL_SAFE;
    static void halve(Stream& stream) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static PrefetchWindow propose_window(Stream& stream, std::int64_t from, Kind kind,
                                                       const PrefetchBounds& bounds) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] bool requires_second_step() FAULTLINE_SIGNAL_SAFE;
    void learn_from_finished(const Stream& stream) FAULTLINE_SIGNAL_SAFE;

    std::array<Stream, kStreams> streams_{};
    std::uint32_t now_ = 0;  // faults seen; only differences are used, so it may wrap

    // Learned from finished walks, for new ones. A walk is counted when its stream is replaced.
    std::uint32_t first_window_ = kShortestWindow;
    std::uint32_t early_walks_ = 0;  // walks that began after one step
    // How likely a third page follows two neighbours, 0 to kMostContinuation.
    std::uint32_t continuation_ = kMostContinuation;
};

}  // namespace faultline::policy
