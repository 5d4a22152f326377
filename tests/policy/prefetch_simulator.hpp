// A pager without pages that prefetches: runs a walk through stored pages and adds up the cost of its faults. Frames
// are a ring: the page that came first is evicted first, like prefetched pages on probation. The costs are those of one
// machine (4 KiB pages, a virtual disk); tests compare them with each other only.
#pragma once

#include "policy/prefetch_streams.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace faultline::test {

/// In microseconds.
struct PrefetchCosts {
    double use = 2.0;         ///< Work of the program per page.
    double hard_fault = 8.0;  ///< Without the read.
    double tripwire = 60.0;   ///< Reading the page alone, while the window is read in the background.
    double read = 80.0;       ///< Up to 64 KiB in one piece.
    double read_more = 0.4;   ///< Per further KiB, gaps included.
    double read_apart = 8.0;  ///< Instead of reading gaps: per further page with a read of its own, many in flight.
    double map_more = 0.35;   ///< Per page besides the faulting one.
    double evict = 0.1;       ///< Per page.
};

/// Which thread reads the window that a tripwire requests.
enum class TripwireRead : std::uint8_t { by_the_faulting_thread, while_the_program_goes_on };

struct PrefetchResult {
    std::uint64_t hard = 0;
    std::uint64_t tripwires = 0;
    std::uint64_t came_along = 0;
    std::uint64_t unused = 0;  ///< Prefetched pages that were evicted untouched.
    double microseconds = 0;   ///< Per page of the trace.
};

class PrefetchSimulator {
public:
    using Trace = std::vector<std::uint32_t>;
    /// Called at each fault, like PrefetchStreams::on_fault.
    using Ask = std::function<policy::PrefetchWindow(const policy::PrefetchFault&, const policy::PrefetchBounds&)>;

    PrefetchSimulator(std::uint32_t pages, std::size_t frames, TripwireRead tripwire_read, Ask ask)
        : bounds_{.region_pages = pages, .most_pages = static_cast<std::uint32_t>(frames / 4)},
          pages_(pages),
          frames_{frames},
          tripwire_read_{tripwire_read},
          ask_{std::move(ask)} {}

    PrefetchResult run(const Trace& trace) {
        for (const std::uint32_t page : trace) access(page);
        result_.microseconds = now_ / static_cast<double>(trace.size());
        return result_;
    }

private:
    using Kind = policy::PrefetchFault::Kind;
    static constexpr std::uint64_t kRegion = std::uint64_t{1} << 32;
    static constexpr double kPageKiB = 4;

    struct Page {
        bool resident = false;
        bool used = false;
        bool tripwire = false;
        double ready_at = 0;
    };

    void access(std::uint32_t number) {
        Page& page = pages_[number];
        if (!page.resident) {
            ++result_.hard;
            now_ += costs_.hard_fault;
            bring_in(number, true);
            fetch(number, Kind::hard);
        } else if (page.tripwire) {
            ++result_.tripwires;
            now_ += costs_.tripwire;
            page.tripwire = false;
            page.used = true;
            fetch(number, Kind::tripwire);
        }
        now_ = std::max(now_, page.ready_at) + costs_.use;
        page.used = true;
    }

    /// Reads the absent pages of a window in one piece.
    void fetch(std::uint32_t faulting, Kind kind) {
        const policy::PrefetchWindow window = ask_({.page = kRegion | faulting, .kind = kind}, bounds_);
        std::vector<std::uint32_t> read;
        if (kind == Kind::hard) read.push_back(faulting);
        for (std::uint32_t i = 0; i < window.count; ++i) {
            const auto number = static_cast<std::uint32_t>(window.page(i));
            if (pages_[number].resident) continue;
            read.push_back(number);
            bring_in(number, false);
            pages_[number].tripwire = window.page(i) == window.tripwire;
        }
        if (read.empty()) return;
        const auto [lowest, highest] = std::ranges::minmax(read);
        const auto count = static_cast<double>(read.size());
        const double in_one_piece = costs_.read_more * std::max(kPageKiB * (highest - lowest + 1.0) - 64, 0.0);
        const double more = std::min(in_one_piece, costs_.read_apart * (count - 1));
        const double done = std::max(now_, disk_free_at_) + costs_.read + more + costs_.map_more * count;
        disk_free_at_ = done;
        for (const std::uint32_t number : read) pages_[number].ready_at = done;
        if (kind == Kind::hard || tripwire_read_ == TripwireRead::by_the_faulting_thread) now_ = done;
    }

    void bring_in(std::uint32_t number, bool asked_for) {
        if (ring_.size() == frames_) evict_oldest();
        ring_.push_back(number);
        pages_[number] = {.resident = true, .used = asked_for};
        if (!asked_for) ++result_.came_along;
    }

    void evict_oldest() {
        const std::uint32_t number = ring_.front();
        ring_.pop_front();
        now_ += costs_.evict;
        Page& page = pages_[number];
        page.resident = false;
        if (!page.used) ++result_.unused;
    }

    PrefetchCosts costs_;
    policy::PrefetchBounds bounds_;  // leaves frames for other windows
    std::vector<Page> pages_;
    std::deque<std::uint32_t> ring_;
    std::size_t frames_;
    TripwireRead tripwire_read_;
    Ask ask_;
    double now_ = 0;
    double disk_free_at_ = 0;
    PrefetchResult result_;
};

}  // namespace faultline::test
