#include "shadow_model.hpp"

#include "pager/region/region_map.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>

namespace faultline::test {
namespace {

constexpr std::size_t kMostBytes = 12000;  // touches up to four pages of 4 KiB
constexpr std::size_t kMostPages = 6;

}  // namespace

ShadowModel::Extent ShadowModel::some_bytes() {
    const std::size_t first = below(region_.size());
    return {first, 1 + below(std::min(kMostBytes, region_.size() - first))};
}

ShadowModel::Extent ShadowModel::some_pages() {
    const std::size_t first = below(pages());
    return {first, 1 + below(std::min(kMostPages, pages() - first))};
}

bool ShadowModel::pinned(Extent extent) const {
    const auto first = pins_on_page_.begin() + static_cast<std::ptrdiff_t>(extent.first);
    return std::any_of(first, first + static_cast<std::ptrdiff_t>(extent.count),
                       [](unsigned pins) { return pins > 0; });
}

std::size_t ShadowModel::distinct_pinned() const {
    return static_cast<std::size_t>(
        std::count_if(pins_on_page_.begin(), pins_on_page_.end(), [](unsigned pins) { return pins > 0; }));
}

std::size_t ShadowModel::counted_pins() const {
    return std::accumulate(pins_on_page_.begin(), pins_on_page_.end(), std::size_t{0});
}

void ShadowModel::step() {
    const std::size_t choice = below(100);
    if (choice < 40) {
        write(some_bytes());
    } else if (choice < 74) {
        const Extent bytes = some_bytes();
        compare(bytes.first, bytes.count);
    } else if (choice < 79) {
        discard();
    } else if (choice < 86) {
        advise();
    } else if (choice < 90) {
        protect();
    } else if (choice < 94) {
        pin();
    } else if (choice < 98) {
        unpin();
    } else {
        resize();
    }
}

void ShadowModel::write(Extent bytes) {
    const auto fill = below(8) == 0 ? std::byte{0} : static_cast<std::byte>(below(256));
    for (std::size_t i = 0; i < bytes.count; ++i) {
        shadow_[bytes.first + i] = fill == std::byte{0} ? fill : fill ^ static_cast<std::byte>(i & 0xff);
    }
    std::memcpy(region_.data() + bytes.first, shadow_.data() + bytes.first, bytes.count);
}

void ShadowModel::compare(std::size_t offset, std::size_t bytes) {
    if (std::memcmp(region_.data() + offset, shadow_.data() + offset, bytes) == 0) return;
    for (std::size_t i = offset; i < offset + bytes; ++i) {
        if (region_.data()[i] == shadow_[i]) continue;
        FAIL() << "offset " << i << " (page " << i / region_.page_size() << ") holds "
               << static_cast<int>(region_.data()[i]) << " and should hold " << static_cast<int>(shadow_[i]);
    }
    FAIL() << "bytes at offset " << offset << " differed, and no longer do";
}

void ShadowModel::discard() {
    const Extent range = some_pages();
    try {
        region_.discard(page(range.first), bytes_of(range));
        EXPECT_FALSE(pinned(range)) << "a pinned page was discarded";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EBUSY) << error.what();
        EXPECT_TRUE(pinned(range));
    }
    for (std::size_t i = range.first; i < range.first + range.count; ++i) {
        if (pins_on_page_[i] == 0) std::memset(shadow_.data() + i * region_.page_size(), 0, region_.page_size());
    }
}

void ShadowModel::advise() {
    const Extent bytes = some_bytes();
    constexpr std::array kAll{Advice::willneed, Advice::dontneed, Advice::cold,
                              Advice::normal,   Advice::random,   Advice::sequential};
    region_.advise(region_.data() + bytes.first, bytes.count, kAll[below(kAll.size())]);
}

void ShadowModel::expect_pin_refused(Extent range, PinFor purpose, int code) {
    // If there is no room for the pin, that error may come first.
    const bool room =
        counted_pins() + range.count + Pager::kMinimumPages <= pager_.resident_limit() / region_.page_size();
    if (!room) return;
    expect_refused([&] { static_cast<void>(region_.pin(page(range.first), bytes_of(range), purpose)); }, code, "pin");
}

void ShadowModel::protect() {
    const Extent range = some_pages();
    region_.protect(page(range.first), bytes_of(range), Access::read);
    compare(range.first * region_.page_size(), bytes_of(range));
    expect_pin_refused(range, PinFor::writing, EACCES);
    region_.advise(page(range.first), bytes_of(range), Advice::dontneed);
    compare(range.first * region_.page_size(), bytes_of(range));
    if (pinned(range)) {
        expect_refused([&] { region_.protect(page(range.first), bytes_of(range), Access::none); }, EBUSY, "pinned");
    } else {
        region_.protect(page(range.first), bytes_of(range), Access::none);
        expect_pin_refused(range, PinFor::reading, EACCES);
    }
    region_.protect(page(range.first), bytes_of(range), Access::read_write);
    compare(range.first * region_.page_size(), bytes_of(range));
}

void ShadowModel::pin() {
    const Extent range = some_pages();
    const std::size_t limit = pager_.resident_limit() / region_.page_size();
    const PinFor purpose = below(2) == 0 ? PinFor::reading : PinFor::writing;
    try {
        Pin held = region_.pin(page(range.first), bytes_of(range), purpose);
        EXPECT_LE(distinct_pinned() + Pager::kMinimumPages, limit) << "pins leave too little for faults";
        for (std::size_t i = range.first; i < range.first + range.count; ++i) ++pins_on_page_[i];
        pins_.push_back({std::move(held), range});
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
        EXPECT_GT(counted_pins() + range.count + Pager::kMinimumPages, limit) << "there was room for the pin";
    }
}

void ShadowModel::unpin() {
    if (pins_.empty()) return;
    std::swap(pins_[below(pins_.size())], pins_.back());
    const Extent range = pins_.back().pages;
    for (std::size_t i = range.first; i < range.first + range.count; ++i) --pins_on_page_[i];
    pins_.pop_back();
}

void ShadowModel::unpin_all() {
    pins_.clear();
    std::fill(pins_on_page_.begin(), pins_on_page_.end(), 0U);
}

void ShadowModel::resize() {
    const std::size_t wanted = limits_.least + below(limits_.most - limits_.least + 1);
    const std::size_t before = pager_.resident_limit();
    try {
        pager_.set_resident_limit(wanted * region_.page_size());
        EXPECT_LE(distinct_pinned() + Pager::kMinimumPages, wanted);
        EXPECT_EQ(pager_.resident_limit(), wanted * region_.page_size());
        EXPECT_LE(pager_.stats().frames_used, wanted * region_.page_size());
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EBUSY) << error.what();
        EXPECT_GT(counted_pins() + Pager::kMinimumPages, wanted);
        EXPECT_EQ(pager_.resident_limit(), before);
    }
}

void ShadowModel::verify() { compare(0, region_.size()); }

ResidencyCell ShadowModel::residency() const {
    std::array<ResidencyCell, 7> cells{};
    region_.residency(cells);
    ResidencyCell sum;
    for (const ResidencyCell& cell : cells) {
        sum.untouched += cell.untouched;
        sum.resident += cell.resident;
        sum.dirty += cell.dirty;
        sum.staged += cell.staged;
        sum.swapped += cell.swapped;
    }
    return sum;
}

void ShadowModel::check_figures(bool quiet) {
    const PagerStats all = pager_.stats();
    EXPECT_LE(all.frames_used, all.resident_limit);
    EXPECT_EQ(all.resident_limit, pager_.resident_limit());
    EXPECT_EQ(region_.stats().pinned_bytes, distinct_pinned() * region_.page_size());
    if (!quiet) return;

    // Prefetched pages may still be read, and a handler thread may still be accounting for a fault after the program
    // has got its page.
    region_.wait_for_advised(region_.data(), region_.size());
    pager::RegionMap::readers().synchronize();
    const RegionStats mine = region_.stats();
    EXPECT_LE(mine.resident_bytes + mine.staged_bytes, all.resident_limit);
    EXPECT_LE(mine.resident_bytes + mine.staged_bytes, pager_.stats().frames_used);
    EXPECT_LE(mine.dirty_bytes, mine.resident_bytes + mine.staged_bytes);
    EXPECT_LE(mine.pinned_bytes, mine.resident_bytes);

    const ResidencyCell cells = residency();
    EXPECT_EQ(cells.untouched + cells.resident + cells.staged + cells.swapped, region_.size());
    EXPECT_EQ(cells.resident, mine.resident_bytes);
    EXPECT_EQ(cells.staged, mine.staged_bytes);
    EXPECT_EQ(cells.swapped, mine.swapped_bytes);
    EXPECT_LE(cells.dirty, mine.dirty_bytes);
}

}  // namespace faultline::test
