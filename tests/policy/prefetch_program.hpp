// A program that touches pages, for tests of PrefetchStreams. It knows which pages are present, faults on the others,
// takes the windows it is given, and checks what must hold for every window.
#pragma once

#include "core/page_word.hpp"
#include "policy/prefetch_streams.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <vector>

namespace faultline::test {

using policy::AccessAdvice;
using policy::PrefetchBounds;
using policy::PrefetchFault;
using policy::PrefetchStreams;
using policy::PrefetchWindow;

/// Pages of 4 KiB in the longest window.
inline constexpr std::uint32_t kLongest = PrefetchStreams::kMostBytes / 4096;

constexpr std::uint64_t page_number(std::uint32_t region, std::uint64_t index) {
    return core::PageRef{region, static_cast<std::uint32_t>(index)}.bits();
}

constexpr std::uint64_t index_of(std::uint64_t number) { return core::PageRef::from(number).page; }

/// Page numbers are indices in `region`.
class Program {
public:
    using Kind = PrefetchFault::Kind;
    using Counts = std::vector<std::uint32_t>;

    explicit Program(PrefetchStreams& streams, std::uint64_t region_pages = std::uint64_t{1} << 20,
                     std::uint32_t region = 1)
        : streams_{streams}, bounds_{.region_pages = region_pages}, region_{region} {}

    // Settings for the following touches.
    PrefetchBounds& bounds() { return bounds_; }
    void be_thread(std::uint64_t thread) { thread_ = thread; }
    void advise(AccessAdvice advice) { advice_ = advice; }
    void touch_as(Kind kind) { kind_ = kind; }
    void leave_no_tripwires() { leaves_tripwires_ = false; }
    void come_late() { pages_leave_early_ = false; }
    void write() { writes_ = true; }
    void read() { writes_ = false; }

    /// Touches a page. Returns how many pages were prefetched with it; 0 if it was present.
    std::uint32_t touch(std::uint64_t index) {
        if (tripwires_.erase(index) != 0) {
            return fault(index, streams_.is_tripwire(page_number(region_, index)) ? Kind::tripwire : Kind::hard);
        }
        if (!present_.insert(index).second) return 0;
        ++faults_;
        return fault(index, kind_);
    }

    /// Returns how many pages were prefetched with each of the next `windows` faults of a walk. Stops at the region's
    /// ends.
    Counts walk(std::uint64_t first, std::int64_t stride, std::size_t windows) {
        Counts counts;
        const auto pages = static_cast<std::int64_t>(bounds_.region_pages);
        for (auto at = static_cast<std::int64_t>(first); at >= 0 && at < pages; at += stride) {
            const std::uint64_t before = faults_ + soft_faults_;
            next_ = static_cast<std::uint64_t>(at + stride);
            const std::uint32_t count = touch(static_cast<std::uint64_t>(at));
            if (faults_ + soft_faults_ != before) counts.push_back(count);
            if (counts.size() == windows) break;
        }
        return counts;
    }

    void forget_pages() {
        present_.clear();
        tripwires_.clear();
    }
    void forget(std::uint64_t index) {
        present_.erase(index);
        tripwires_.erase(index);
    }

    [[nodiscard]] std::uint64_t next() const { return next_; }  ///< Where the last walk would go on.
    [[nodiscard]] std::uint64_t faults() const { return faults_; }
    [[nodiscard]] std::uint64_t soft_faults() const { return soft_faults_; }
    [[nodiscard]] bool present(std::uint64_t index) const { return present_.contains(index); }
    [[nodiscard]] const PrefetchWindow& last_window() const { return window_; }

private:
    std::uint32_t fault(std::uint64_t index, Kind kind) {
        if (kind == Kind::tripwire) ++soft_faults_;
        const PrefetchFault fault{page_number(region_, index), thread_, kind, writes_, pages_leave_early_};
        window_ = streams_.on_fault(fault, bounds_, advice_);
        expect_sound(fault);
        for (std::uint32_t place = 0; place < window_.count; ++place) present_.insert(index_of(window_.page(place)));
        if (leaves_tripwires_ && window_.tripwire != PrefetchWindow::kNoPage) {
            tripwires_.insert(index_of(window_.tripwire));
        }
        return window_.count;
    }

    void expect_sound(const PrefetchFault& fault) const {
        bool tripwire_found = window_.tripwire == PrefetchWindow::kNoPage;
        for (std::uint32_t place = 0; place < window_.count; ++place) {
            const std::uint64_t page = window_.page(place);
            EXPECT_EQ(core::PageRef::from(page).region, region_);
            EXPECT_LT(index_of(page), bounds_.region_pages);
            EXPECT_NE(page, fault.page);
            if (page == window_.tripwire) tripwire_found = true;
        }
        EXPECT_TRUE(tripwire_found);
        EXPECT_LE(window_.count * bounds_.page_bytes, PrefetchStreams::kMostBytes);
        EXPECT_LE(window_.count, bounds_.most_pages);
    }

    PrefetchStreams& streams_;
    PrefetchBounds bounds_;
    std::uint32_t region_;
    std::uint64_t thread_ = 1;
    AccessAdvice advice_ = AccessAdvice::normal;
    Kind kind_ = Kind::hard;
    bool leaves_tripwires_ = true;
    bool pages_leave_early_ = true;
    bool writes_ = false;
    std::set<std::uint64_t> present_;
    std::set<std::uint64_t> tripwires_;
    std::uint64_t next_ = 0;
    std::uint64_t faults_ = 0;
    std::uint64_t soft_faults_ = 0;
    PrefetchWindow window_;
};

}  // namespace faultline::test
