// Descriptions of a space: maps agrees with the kernel's, smaps with the pager, explain with a calculation by hand.
#include "space/space_fixture.hpp"

#include <fstream>
#include <map>
#include <sstream>

namespace faultline::test {
namespace {

/// Reads the protection of each page from the text of maps.
using PageAccess = std::map<std::uintptr_t, std::string>;

struct Line {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::string permissions;
    std::uint64_t offset = 0;
    std::string device;
    std::uint64_t inode = 0;
    std::string label;
};

std::vector<Line> parse_maps(std::istream& text) {
    std::vector<Line> lines;
    for (std::string one; std::getline(text, one);) {
        std::istringstream fields{one};
        Line& line = lines.emplace_back();
        char dash = 0;
        fields >> std::hex >> line.begin >> dash >> line.end >> line.permissions >> line.offset >> line.device >>
            std::dec >> line.inode;
        EXPECT_TRUE(fields && dash == '-') << one;
        std::getline(fields >> std::ws, line.label);
    }
    return lines;
}

PageAccess pages_of(const std::vector<Line>& lines, std::uintptr_t begin, std::uintptr_t end) {
    PageAccess pages;
    for (const Line& line : lines) {
        for (std::uintptr_t page = std::max(line.begin, begin); page < std::min(line.end, end); page += kPage) {
            pages[page] = line.permissions.substr(0, 3);
        }
    }
    return pages;
}

class SpaceLooking : public SpaceTest {
protected:
    void SetUp() override {
        SpaceTest::SetUp();
        if (IsSkipped()) return;
        const std::vector<ImageSegment> image{
            {.name = "text", .file = file_.path(), .file_bytes = 3 * kPage, .memory_bytes = 3 * kPage},
            {.name = "rodata",
             .file = file_.path(),
             .file_offset = 3 * kPage,
             .file_bytes = kPage,
             .address = 3 * kPage,
             .memory_bytes = kPage,
             .access = Access::read},
            {.name = "data",
             .file = file_.path(),
             .file_offset = 4 * kPage,
             .file_bytes = kPage + 50,
             .address = 4 * kPage,
             .memory_bytes = 4 * kPage,
             .access = Access::read_write}};
        Layout layout = Layout::fixed();
        layout.heap_limit = 32 * kPage;
        layout.stack_limit = 16 * kPage;
        layout.mapping_bytes = 64 * kPage;
        space_.emplace(pager(), image, layout);
        space().sbrk(static_cast<std::ptrdiff_t>(5 * kPage));
        mapping_ = space().map_anonymous(6 * kPage, {.name = "cache"});
        space().protect(mapping_ + kPage, 2 * kPage, Access::read);
        space().protect(mapping_ + 3 * kPage, kPage, Access::none);
        static_cast<void>(space().map_file(file_.fd(), 2 * kPage, 2 * kPage, {.access = Access::read}));
        store_word(space().stack_end() - 8, 1);
        store_word(space().stack_end() - 3 * kPage, 1);
    }
    [[nodiscard]] AddressSpace& space() { return *space_; }
    [[nodiscard]] std::vector<Line> our_maps() {
        std::istringstream text{space().maps()};
        return parse_maps(text);
    }

    PatternFile file_{8 * kPage};
    std::byte* mapping_ = nullptr;

private:
    std::optional<AddressSpace> space_;
};

TEST_P(SpaceLooking, MapsHasEachSegmentWithItsName) {
    std::vector<std::string> seen;
    for (const Line& line : our_maps()) {
        std::ostringstream text;
        text << (line.end - line.begin) / kPage << ' ' << line.permissions << ' ' << line.offset / kPage << ' '
             << (line.inode != 0) << ' ' << line.label;
        seen.push_back(text.str());
    }
    const std::string file = file_.path().string();
    EXPECT_EQ(seen,
              (std::vector<std::string>{"3 r-xp 0 1 " + file + " [text]", "1 r--p 3 1 " + file + " [rodata]",
                                        "2 rw-p 4 1 " + file + " [data]", "2 rw-p 0 0 [bss]", "5 rw-p 0 0 [heap]",
                                        "2 r--p 2 1 " + file, "1 rw-p 0 0 [anon:cache]", "2 r--p 0 0 [anon:cache]",
                                        "1 ---p 0 0 [anon:cache]", "2 rw-p 0 0 [anon:cache]", "3 rw-p 0 0 [stack]"}));
}

TEST_P(SpaceLooking, MapsHasTheKernelsColumns) {
    std::istringstream ours{space().maps()};
    std::ifstream kernels{"/proc/self/maps"};
    const auto name_column = [](std::istream& text, char first) {
        for (std::string line; std::getline(text, line);) {
            const std::size_t at = line.find(first);
            if (at != std::string::npos) return at;
        }
        return std::string::npos;
    };
    EXPECT_EQ(name_column(ours, '/'), name_column(kernels, '/'));
}

TEST_P(SpaceLooking, MapsShowsTheProtectionsThatTheKernelShows) {
    std::ifstream text{"/proc/self/maps"};
    const std::vector<Line> kernels = parse_maps(text);
    const std::vector<Line> ours = our_maps();
    const auto stack = reinterpret_cast<std::uintptr_t>(space().stack_begin());
    const PageAccess said = pages_of(ours, Layout::kFixedBase, stack);
    const PageAccess real = pages_of(kernels, Layout::kFixedBase, stack);
    const bool checked_by_kernel = GetParam().delivery != Delivery::sigsegv;
    for (const auto& [page, access] : real) {
        const auto segment = said.find(page);
        const std::string allowed = segment == said.end() ? "---" : segment->second;
        if (checked_by_kernel) {
            EXPECT_EQ(access, allowed) << std::hex << page;
        } else if (GetParam().eviction == Eviction::protect) {
            // A page that the mapper hides has no access in the kernel, whatever its protection.
            for (std::size_t i = 0; i < 3; ++i)
                EXPECT_TRUE(access[i] == '-' || access[i] == allowed[i]) << std::hex << page;
        }
    }
    for (const auto& [page, access] : said) EXPECT_EQ(real.count(page), 1U) << std::hex << page;
}

TEST_P(SpaceLooking, UsageFollowsAPageThroughItsStates) {
    const auto usage = [&](const char* name) {
        for (const SegmentInfo& segment : space().segments()) {
            if (segment.name == name) return space().usage(segment);
        }
        ADD_FAILURE() << name;
        return SegmentUsage{};
    };
    EXPECT_EQ(usage("text").resident, 0U);
    EXPECT_EQ(usage("text").swapped, 0U);
    std::byte* const data = space().image() + 4 * kPage;
    {
        const Pin pin = space().pin(data, 2 * kPage);
        store_word(data, 1);
        EXPECT_EQ(usage("data").resident, 2 * kPage);
        EXPECT_EQ(usage("data").dirty, 2 * kPage);
    }
    space().advise(data, 2 * kPage, Advice::dontneed);
    EXPECT_EQ(usage("data").resident, 0U);
    EXPECT_EQ(usage("data").swapped, 2 * kPage);
    EXPECT_NE(space().smaps().find("Swap:                  8 kB"), std::string::npos) << space().smaps();
}

TEST_P(SpaceLooking, ExplainEqualsACalculationByHand) {
    // 0x7e90'0000'4abc: bits 39-47 are 0xfd = 253; bits 30-38: 0x7e9000004abc >> 30 = 0x1fa40, modulo 512 = 64;
    // bits 21-29: 0; bits 12-20: 4; the rest: 0xabc = 2748.
    const Explanation all = space().explain(space().image() + 0x4abc);
    EXPECT_TRUE(all.canonical);
    EXPECT_TRUE(all.user);
    EXPECT_EQ(all.table_indices, (std::array<unsigned, 4>{253, 64, 0, 4}));
    EXPECT_EQ(all.offset, 2748U);
    ASSERT_TRUE(all.segment);
    EXPECT_EQ(all.segment->name, "data");
    EXPECT_EQ(all.page_state, "not in memory, as the file has it");
    EXPECT_EQ(all.bytes_are, "in " + file_.path().string() + " at byte 16384");
    {
        const Pin pin = space().pin(space().image() + 0x4abc, 1);
        EXPECT_EQ(space().explain(space().image() + 0x4abc).bytes_are, "in its frame");
        EXPECT_EQ(space().explain(space().image() + 0x4abc).page_state, "resident, dirty, pinned");
    }
    space().advise(space().image() + 0x4abc, 1, Advice::dontneed);
    const Explanation after = space().explain(space().image() + 0x4abc);
    EXPECT_EQ(after.page_state, "swapped out");
    EXPECT_EQ(after.bytes_are.rfind("in the swap file at byte ", 0), 0U);
    EXPECT_NE(after.text().find("table entries 253, 64, 0, 4"), std::string::npos);
}

TEST_P(SpaceLooking, ExplainDetectsNonUserAddresses) {
    const auto explain = [&](std::uintptr_t address) { return space().explain(reinterpret_cast<void*>(address)); };
    EXPECT_FALSE(explain(0x8000'0000'0000).canonical);
    EXPECT_FALSE(explain(0x7fff'0000'0000'0000).canonical);
    EXPECT_TRUE(explain(0xffff'8000'0000'0000).canonical);
    EXPECT_FALSE(explain(0xffff'8000'0000'0000).user);
    EXPECT_EQ(explain(0xffff'ffff'ffff'ffff).table_indices, (std::array<unsigned, 4>{511, 511, 511, 511}));
    EXPECT_FALSE(explain(0x1000).segment);
    EXPECT_TRUE(explain(0x1000).user);
    EXPECT_FALSE(space().explain(space().stack_begin() - 1).segment);
}

TEST_P(SpaceLooking, TableCostCountsTheTablesNeeded) {
    const TableCost before = space().table_cost();
    EXPECT_EQ(before.single_level, std::uint64_t{512} << 30);
    // Image and heap need one table of each level. The mappings begin 64 GiB above the image, the stack lies 64 GiB
    // above them. They need a last-level table for each 2 MiB touched, and one of the next level for each GiB; the
    // upper two are shared.
    const auto stack_end = reinterpret_cast<std::uintptr_t>(space().stack_end());
    const auto mapping = reinterpret_cast<std::uintptr_t>(mapping_) - 2 * kPage;
    const std::uint64_t high_tables =
        (((stack_end - 1) >> 21) - (mapping >> 21) + 1) + (((stack_end - 1) >> 30) - (mapping >> 30) + 1);
    const bool same_upper = Layout::kFixedBase >> 39 == (stack_end - 1) >> 39;
    EXPECT_EQ(before.four_levels_full, (2 + 1 + 1 + high_tables + (same_upper ? 0 : 1)) * 4096);
    EXPECT_LE(before.four_levels, before.four_levels_full);
    EXPECT_GE(before.page_words, 2 * 4096U);
}

class SpaceCompressed : public SpaceTest {
protected:
    [[nodiscard]] Config config() const override {
        Config config = SpaceTest::config();
        config.compressed_limit = std::size_t{1} << 20;
        return config;
    }
};

TEST_P(SpaceCompressed, CompressedPagesAreToldFromSwappedOnes) {
    AddressSpace space{pager()};
    std::byte* const heap = space.sbrk(static_cast<std::ptrdiff_t>(4 * kPage));
    for (std::size_t page = 0; page < 4; ++page) write_stamps(heap + page * kPage, kPage, stamp(page));
    space.advise(heap, 4 * kPage, Advice::dontneed);
    const SegmentUsage usage = space.usage(space.segments().front());
    EXPECT_EQ(usage.compressed, 4 * kPage);
    EXPECT_EQ(usage.swapped, 0U);
    EXPECT_EQ(space.explain(heap).page_state, "compressed");
    EXPECT_TRUE(has_stamps(heap, kPage, stamp(0)));
}

INSTANTIATE_TEST_SUITE_P(Deliveries, SpaceLooking, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});
INSTANTIATE_TEST_SUITE_P(Deliveries, SpaceCompressed, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
