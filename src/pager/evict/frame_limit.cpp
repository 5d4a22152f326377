#include "pager/evict/frame_limit.hpp"

#include "core/units.hpp"

#include <faultline/pager.hpp>

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace faultline::pager {
namespace {

constexpr std::size_t kMinimumPages = faultline::Pager::kMinimumPages;

}  // namespace

void FrameLimit::set(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    apply(bytes, core_.limit.largest_page.load());
}

void FrameLimit::set_largest_page(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    apply(core_.limit.bytes.load(), bytes);
}

void FrameLimit::apply(std::size_t bytes, std::size_t largest_page) FAULTLINE_SIGNAL_SAFE {
    // One page is set aside: where a page is copied, it exists twice for a moment.
    const auto units = static_cast<std::int64_t>((bytes - largest_page) / core::kUnitBytes);
    const auto largest_units = static_cast<std::int64_t>(largest_page / core::kUnitBytes);
    const std::int64_t pages = units / largest_units;
    // Below this a second chance or a head start would take frames that the program needs.
    constexpr std::int64_t kFew = 256;
    const bool few = pages < kFew;
    LimitFigures& limit = core_.limit;
    limit.bytes.store(bytes);
    limit.largest_page.store(largest_page);
    limit.pinnable_units.store(
        static_cast<std::int64_t>((bytes - std::min(bytes, kMinimumPages * largest_page)) / core::kUnitBytes));
    limit.most_kept_free.store(few ? 0 : units / 50);
    limit.staging_target.store(few ? 0 : core_.frames.staging_target(static_cast<std::size_t>(units)));
    const std::int64_t urgent = std::clamp<std::int64_t>(pages / 32, 1, 8);
    limit.urgent_batch.store(static_cast<std::size_t>(urgent));
    limit.direct_batch.store(static_cast<std::size_t>(std::clamp<std::int64_t>(pages / 512, urgent, 64)));
    limit.frames_are_few.store(pages < 16 * kFew);
    core_.frames.resized(static_cast<std::size_t>(units));
    // Records may not take all of it: with a handful of frames, threads would wait for each other all the time. Where
    // pins hold nearly all, faults get such a handful.
    const std::int64_t handful = (static_cast<std::int64_t>(kMinimumPages) - 1) * largest_units;
    core_.budget.set_limit(units, std::max(handful, units / 16), handful);
}

}  // namespace faultline::pager
