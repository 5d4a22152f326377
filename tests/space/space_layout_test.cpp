// The layout of an address space: the order of its parts, random and fixed addresses, and several spaces at once.
#include "space/space_fixture.hpp"

#include <set>

namespace faultline::test {
namespace {

class SpaceLayout : public SpaceTest {
protected:
    [[nodiscard]] std::vector<ImageSegment> image() const {
        return {{.name = "text", .file = file_.path(), .file_bytes = kPage, .memory_bytes = kPage}};
    }
    PatternFile file_{kPage};
};

TEST_P(SpaceLayout, ImageHeapMappingsAndStackComeInThisOrder) {
    AddressSpace space{pager(), image()};
    std::byte* const heap = space.sbrk(kPage);
    std::byte* const mapping = space.map_anonymous(kPage);
    EXPECT_LT(space.image(), heap);
    EXPECT_LT(heap, mapping);
    EXPECT_LT(mapping, space.stack_begin());
    const std::vector<SegmentInfo> segments = space.segments();
    ASSERT_EQ(segments.size(), 4U);
    EXPECT_EQ(segments[0].kind, SegmentKind::image);
    EXPECT_EQ(segments[1].kind, SegmentKind::heap);
    EXPECT_EQ(segments[2].kind, SegmentKind::anonymous);
    EXPECT_EQ(segments[3].kind, SegmentKind::stack);
    for (std::size_t i = 1; i < segments.size(); ++i) EXPECT_LE(segments[i - 1].end, segments[i].begin);
}

TEST_P(SpaceLayout, AddressesAreRandom) {
    // Two spaces have equal addresses by chance once in 2^18, for the least random of the four.
    AddressSpace first{pager(), image()};
    AddressSpace second{pager(), image()};
    EXPECT_NE(first.image(), second.image());
    EXPECT_NE(first.stack_end(), second.stack_end());
    EXPECT_NE(first.heap_begin() - first.image(), second.heap_begin() - second.image());
    EXPECT_NE(first.stack_begin() - first.map_anonymous(kPage), second.stack_begin() - second.map_anonymous(kPage));
}

TEST_P(SpaceLayout, AddressesAreWithinTheStatedEntropy) {
    if (kSanitized) GTEST_SKIP() << "a sanitizer may occupy these addresses";
    AddressSpace space{pager(), image()};
    const auto number = [](const std::byte* at) { return reinterpret_cast<std::uintptr_t>(at); };
    const std::uintptr_t image_at = number(space.image()) - (std::uintptr_t{32} << 40);
    EXPECT_LT(image_at, kPage << Layout::kImageEntropyBits);
    EXPECT_LT(number(space.heap_begin()) - number(space.image()), kPage + (kPage << Layout::kHeapEntropyBits));
    const std::uintptr_t stack_at = number(space.stack_end()) - (std::uintptr_t{64} << 40);
    EXPECT_LT(stack_at, kPage << Layout::kStackEntropyBits);
}

TEST_P(SpaceLayout, FixedAddressesAreTheSameEachTimeAndRefusedIfOccupied) {
    const auto look = [](AddressSpace& space) {
        return std::vector<std::byte*>{space.image(), space.heap_begin(), space.map_anonymous(kPage),
                                       space.stack_end()};
    };
    std::vector<std::byte*> before;
    {
        AddressSpace space{pager(), image(), Layout::fixed()};
        before = look(space);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(space.image()), Layout::kFixedBase);
        expect_refused([&] { AddressSpace other{pager(), image(), Layout::fixed()}; }, EEXIST, "something is mapped");
    }
    AddressSpace space{pager(), image(), Layout::fixed()};
    EXPECT_EQ(look(space), before);
}

TEST_P(SpaceLayout, ManySpacesShareOneLimitAndKeepTheirOwnBytes) {
    constexpr std::size_t kSpaces = 12;
    std::vector<AddressSpace> spaces;
    for (std::size_t i = 0; i < kSpaces; ++i) spaces.emplace_back(pager(), image());
    for (std::size_t i = 0; i < kSpaces; ++i) {
        std::byte* const heap = spaces[i].sbrk(12 * kPage);
        for (std::size_t page = 0; page < 12; ++page) write_stamps(heap + page * kPage, kPage, stamp(page, i));
    }
    for (std::size_t i = 0; i < kSpaces; ++i) {
        std::byte* const heap = spaces[i].heap_begin();
        for (std::size_t page = 0; page < 12; ++page) {
            EXPECT_TRUE(has_stamps(heap + page * kPage, kPage, stamp(page, i)));
        }
        EXPECT_TRUE(has_pattern(spaces[i].image(), kPage, 0));
    }
    EXPECT_LE(pager().stats().frames_used, kResident);
    spaces.erase(spaces.begin() + 3);
    EXPECT_TRUE(has_stamps(spaces[3].heap_begin(), kPage, stamp(0, 4)));
    spaces.clear();
    EXPECT_EQ(pager().stats().frames_used, 0U);
}

TEST_P(SpaceLayout, InvalidLayoutsAreRefused) {
    const auto refused = [&](auto change, int code, const char* why) {
        Layout layout = Layout::fixed();
        change(layout);
        expect_refused([&] { AddressSpace space{pager(), {}, layout}; }, code, why);
    };
    refused([](Layout& layout) { layout.image_address += 1; }, EINVAL, "4 KiB");
    refused([](Layout& layout) { layout.image_address = 0; }, EINVAL, "both addresses");
    refused([](Layout& layout) { layout.image_address = std::uintptr_t{1} << 63; }, EINVAL, "not canonical");
    refused([](Layout& layout) { layout.mapping_address = (std::uintptr_t{1} << 47) - kPage; }, EINVAL, "128 TiB");
    refused([](Layout& layout) { layout.heap_limit = std::size_t{1} << 50; }, EINVAL, "8 TiB");
    refused([](Layout& layout) { layout.stack_guard = 0; }, EINVAL, "at least a page");
    // The heap's limit reaches into the mapping area.
    refused([](Layout& layout) { layout.mapping_address = layout.image_address + 4 * kPage; }, EEXIST, "is mapped");
    EXPECT_EQ(pager().stats().frames_used, 0U);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, SpaceLayout, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
