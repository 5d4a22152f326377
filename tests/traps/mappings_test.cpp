// Traps 9 and 22: managed memory never uses huge pages, whose first miss would clear 2 MiB; and a page that the program
// has unmapped never reads as zeros.

#include "traps/prepared_page.hpp"
#include "traps/trap_support.hpp"

#include <sys/mman.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace faultline::test {
namespace {

/// One mapping of /proc/self/smaps.
struct MappingInfo {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::size_t huge_kib = 0;
    std::string flags;  ///< VmFlags, with a space before and after each flag.

    [[nodiscard]] bool has(const std::string& flag) const { return flags.find(" " + flag + " ") != std::string::npos; }
};

std::vector<MappingInfo> mappings_of_this_process() {
    std::vector<MappingInfo> all;
    std::ifstream smaps{"/proc/self/smaps"};
    for (std::string line; std::getline(smaps, line);) {
        std::istringstream words{line};
        std::string first;
        words >> first;
        if (first == "AnonHugePages:") {
            words >> all.back().huge_kib;
        } else if (first == "VmFlags:") {
            all.back().flags = line.substr(first.size()) + " ";
        } else if (first.back() != ':') {
            MappingInfo& mapping = all.emplace_back();
            const char* const end = first.data() + first.size();
            const char* const dash = std::from_chars(first.data(), end, mapping.begin, 16).ptr;
            std::from_chars(dash + 1, end, mapping.end, 16);
        }
    }
    return all;
}

class Trap09 : public TrapMatrix {};

TEST_P(Trap09, NoHugePageIsEverUsed) {
    if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) GTEST_SKIP() << "no huge pages in this kernel";
    constexpr std::size_t kBytes = std::size_t{16} << 20;
    FAULTLINE_PAGER_OR_SKIP(pager, config_for(GetParam(), kBytes));
    Region region = pager.reserve(2 * kBytes, options());
    fill_with_units(region);
    const auto begin = reinterpret_cast<std::uintptr_t>(region.data());
    bool found_region = false;
    std::size_t found_staging = 0;
    for (const MappingInfo& mapping : mappings_of_this_process()) {
        const bool is_region = mapping.begin <= begin && begin < mapping.end;
        const bool is_watched = mapping.has("um");  // includes the staging area, which is registered, too
        if (!is_region && !is_watched) continue;
        found_region |= is_region;
        if (!is_region && mapping.end - mapping.begin >= kBytes) ++found_staging;
        EXPECT_TRUE(mapping.has("nh")) << std::hex << mapping.begin << ":" << mapping.flags;
        EXPECT_EQ(mapping.huge_kib, 0U) << std::hex << mapping.begin;
    }
    EXPECT_TRUE(found_region);
    if (GetParam().delivery != Delivery::sigsegv) {
        EXPECT_EQ(found_staging, 1U);
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap09, testing::ValuesIn(variants_with({4096, kLargestPageBytes})), VariantName{});

// ---- 22 mremap, munmap and MAP_FIXED by the program

enum class Removal : std::uint8_t { munmap, mremap };

class Trap22 : public TrapMatrix {
protected:
    [[nodiscard]] Config config() const {
        Config config = config_with(16);
        config.background_evictor = false;  // at its start it maps a ring, possibly at the address that was unmapped
        return config;
    }

    /// In a child: unmaps or moves a page without telling the pager, asks for its eviction, and reads it.
    [[nodiscard]] ChildEnd remove_evict_read(Page page, Removal removal) const {
        return in_child([this, page, removal] {
            Pager pager{config()};
            Region region = pager.reserve(4 * GetParam().page_size, options());
            fill_with_units(region);
            if (page != Page::dirty) evict_all(region);
            if (page == Page::clean) {  // pages that were written come back writable, and the second time clean
                static_cast<void>(wrong_words(region));
                evict_all(region);
                static_cast<void>(wrong_words(region));
            }
            std::byte* const at = region.data() + region.page_size();
            if (removal == Removal::munmap) {
                ::munmap(at, region.page_size());
            } else {
                void* const elsewhere =
                    ::mmap(nullptr, region.page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                ::mremap(at, region.page_size(), region.page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere);
            }
            region.advise(at, 1, Advice::dontneed);
            static_cast<void>(read_word(at));
            return 0;
        });
    }
};

TEST_P(Trap22, UnmappedPageNeverReadsAsZeros) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    for (const Removal removal : {Removal::munmap, Removal::mremap}) {
        for (const Page page : {Page::dirty, Page::absent}) {
            const ChildEnd end = remove_evict_read(page, removal);
            EXPECT_TRUE(end.killed_by(SIGSEGV) || end.killed_by(SIGABRT)) << end;
        }
    }
}

TEST_P(Trap22, EvictionThatNoticesAMissingPageAbortsAndSaysWhy) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    for (const Removal removal : {Removal::munmap, Removal::mremap}) {
        const ChildEnd end = remove_evict_read(Page::clean, removal);
        EXPECT_TRUE(end.killed_by(SIGABRT)) << end;
        EXPECT_NE(end.said.find("has the program unmapped or remapped managed memory?"), std::string::npos) << end;
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap22, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
