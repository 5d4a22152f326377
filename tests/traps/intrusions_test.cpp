// Trap 22: proves each cell of the last table in docs/traps.md. After the program changes the mapping of a page without
// telling the pager, the page keeps its bytes, or is zeros if the call asks for that, or the program gets a signal. The
// page never holds other bytes, a neighbour never changes, and the process never hangs.

#include "traps/prepared_page.hpp"
#include "traps/trap_support.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <ostream>
#include <string>
#include <tuple>

namespace faultline::test {
namespace {

constexpr std::uint64_t kNewer = std::uint64_t{1} << 40;  // added to the words that are written after the intrusion

constexpr std::array kEveryState{Page::dirty, Page::clean, Page::absent};

const char* name_of(Page page) {
    switch (page) {
        case Page::dirty:
            return "dirty";
        case Page::clean:
            return "clean";
        case Page::absent:
            return "absent";
    }
    return "";
}

/// Bits: what a read of the page may find, and how the process may end.
enum Result : unsigned {
    kept = 1,           // the bytes that the program wrote last
    zeros = 2,          // the whole page is zeros
    refused = 4,        // the kernel refused the call; the bytes are kept
    killed_segv = 8,    // SIGSEGV, as for any memory that the program unmapped
    stopped = 16,       // SIGABRT, with a message
    killed_bus = 32,    // SIGBUS
    lost_write = 64,    // the bytes from before the last write
    wrong_bytes = 128,  // never allowed
    neighbour = 256,    // another page has wrong bytes; never allowed
    hangs = 512,        // never allowed
    other = 1024,
};

std::string described(unsigned results) {
    static constexpr std::array kNames{"kept",       "zeros",       "refused",         "SIGSEGV", "abort", "SIGBUS",
                                       "write lost", "wrong bytes", "neighbour wrong", "hang",    "other"};
    std::string text;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if ((results >> i & 1U) != 0) text += std::string(text.empty() ? "" : " or ") + kNames[i];
    }
    return text;
}

struct Intrusion {
    const char* name;
    int (*on)(std::byte* page, std::size_t bytes);
    unsigned dirty;   ///< Allowed results for a page written to since it became resident,
    unsigned clean;   ///< for one only read since then,
    unsigned absent;  ///< and for one that is not resident.
};
void PrintTo(const Intrusion& intrusion, std::ostream* out) { *out << intrusion.name; }

constexpr unsigned kToldSo = killed_segv | stopped;

template <int kAdvice>
int advised(std::byte* page, std::size_t bytes) {
    return ::madvise(page, bytes, kAdvice);
}

constexpr std::array kIntrusions{
    Intrusion{"munmap", [](std::byte* page, std::size_t bytes) { return ::munmap(page, bytes); }, kToldSo, kToldSo,
              kToldSo},
    Intrusion{"mremap",
              [](std::byte* page, std::size_t bytes) {
                  void* const elsewhere = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                  return ::mremap(page, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == MAP_FAILED ? -1 : 0;
              },
              kToldSo, kToldSo, kToldSo},
    Intrusion{"map_fixed",
              [](std::byte* page, std::size_t bytes) {
                  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
                  return ::mmap(page, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0) == MAP_FAILED ? -1 : 0;
              },
              zeros | kept | kToldSo, zeros | kept | kToldSo, zeros | kept | kToldSo},
    Intrusion{"mprotect_none", [](std::byte* page, std::size_t bytes) { return ::mprotect(page, bytes, PROT_NONE); },
              kept | killed_segv, kept | killed_segv, kept | killed_segv},
    Intrusion{"mprotect_read", [](std::byte* page, std::size_t bytes) { return ::mprotect(page, bytes, PROT_READ); },
              kept | killed_segv, kept | killed_segv, kept | killed_segv | zeros},
    Intrusion{"dontneed", advised<MADV_DONTNEED>, kept | zeros, kept | zeros, kept},
    Intrusion{"free", advised<MADV_FREE>, kept | zeros | refused, kept | zeros | refused, kept | refused},
    Intrusion{"remove", advised<MADV_REMOVE>, zeros | refused, zeros | refused, kept | refused},
    Intrusion{"cold", advised<MADV_COLD>, kept, kept, kept},
    Intrusion{"pageout", advised<MADV_PAGEOUT>, kept, kept, kept},
    Intrusion{"willneed", advised<MADV_WILLNEED>, kept | refused, kept | refused, kept | refused},
    Intrusion{"hugepage", advised<MADV_HUGEPAGE>, kept | refused, kept | refused, kept | refused},
    Intrusion{"dofork", advised<MADV_DOFORK>, kept, kept, kept},
    Intrusion{"mlock", [](std::byte* page, std::size_t bytes) { return ::mlock(page, bytes); }, kept | refused,
              kept | refused, kept | refused},
    Intrusion{"mlockall", [](std::byte*, std::size_t) { return ::mlockall(MCL_CURRENT | MCL_FUTURE); },
              kept | refused | stopped, kept | refused | stopped, kept | refused | stopped},
    Intrusion{"msync", [](std::byte* page, std::size_t bytes) { return ::msync(page, bytes, MS_SYNC); }, kept, kept,
              kept},
};

using IntrusionCase = std::tuple<Variant, Intrusion>;

class Trap22Intrusion : public testing::TestWithParam<IntrusionCase> {
protected:
    static constexpr std::size_t kPages = 4;

    static const Variant& variant() { return std::get<0>(GetParam()); }
    static const Intrusion& intrusion() { return std::get<1>(GetParam()); }
    static Config config() {
        Config config = config_for(variant(), 16 * kBasePageBytes);
        config.background_evictor = false;  // at its start it maps a ring, possibly at the address that was unmapped
        return config;
    }

    static unsigned allowed(Page page) {
        switch (page) {
            case Page::dirty:
                return intrusion().dirty;
            case Page::clean:
                return intrusion().clean;
            case Page::absent:
                return intrusion().absent;
        }
        return 0;
    }

    /// Returns what a unit holds that should hold `expected` and held `before` earlier.
    static Result contents(const Region& region, std::uint64_t unit, std::uint64_t expected, std::uint64_t before) {
        std::size_t as_expected = 0;
        std::size_t as_before = 0;
        std::size_t zero = 0;
        constexpr std::size_t kWords = kBasePageBytes / sizeof(std::uint64_t);
        for (std::size_t i = 0; i < kWords; ++i) {
            const std::uint64_t word = read_word(region.data() + unit * kBasePageBytes + i * sizeof word);
            as_expected += word == expected ? 1U : 0U;
            as_before += word == before ? 1U : 0U;
            zero += word == 0 ? 1U : 0U;
        }
        if (as_expected == kWords) return kept;
        if (zero == kWords) return zeros;
        return as_before == kWords ? lost_write : wrong_bytes;
    }

    /// In a child: makes the call on the second page of four, reads the page, writes to it if `writes`, evicts it and
    /// reads it again.
    static Result result_of(Page state, bool writes, std::string* said) {
        constexpr std::array kCodes{kept, zeros, refused, lost_write, wrong_bytes, neighbour};
        const auto code_of = [&](Result result) {
            for (std::size_t i = 0; i < kCodes.size(); ++i) {
                if (kCodes[i] == result) return static_cast<int>(i);
            }
            return kChildThrew;
        };
        const ChildEnd end = in_child([&] {
            Pager pager{config()};
            Region region = pager.reserve(kPages * kBasePageBytes);
            fill_with_units(region);
            if (state != Page::dirty) evict_all(region);
            if (state == Page::clean) static_cast<void>(wrong_words(region));
            constexpr std::uint64_t kVictim = 1;
            std::byte* const page = region.data() + kVictim * kBasePageBytes;
            const bool was_refused = intrusion().on(page, kBasePageBytes) != 0;
            const std::uint64_t original = word_of_unit(kVictim);
            Result found = contents(region, kVictim, original, original);
            if (writes) {
                for (std::size_t at = 0; at < kBasePageBytes; at += sizeof(std::uint64_t)) {
                    write_word(page + at, original + kNewer);
                }
                if (contents(region, kVictim, original + kNewer, original) != kept) return code_of(wrong_bytes);
            }
            region.advise(region.data(), region.size(), Advice::dontneed);
            const Result again = contents(region, kVictim, writes ? original + kNewer : original, original);
            if (again != kept) found = again;
            for (const std::uint64_t unit : {0U, 2U, 3U}) {
                if (wrong_words(region, unit) > 0) return code_of(neighbour);
            }
            return code_of(was_refused && found == kept ? refused : found);
        });
        *said = end.said;
        for (const Result result : kCodes) {
            if (end.exited_with(code_of(result))) return result;
        }
        if (end.killed_by(SIGSEGV)) return killed_segv;
        if (end.killed_by(SIGBUS)) return killed_bus;
        if (end.killed_by(SIGABRT) && end.said.find("has the program") != std::string::npos) return stopped;
        return end.killed_by(SIGALRM) ? hangs : other;
    }
};

TEST_P(Trap22Intrusion, HasOneOfTheDocumentedResults) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    for (const Page page : kEveryState) {
        for (const bool writes : {false, true}) {
            if (!writes && std::string{intrusion().name} == "mlockall") continue;  // locks gigabytes each time
            std::string said;
            const Result result = result_of(page, writes, &said);
            const std::string where = std::string(name_of(page)) + (writes ? ", written to afterwards" : "");
            std::cout << where << ": " << described(result) << "\n";
            EXPECT_NE(result & allowed(page), 0U)
                << where << ": " << described(result) << ", not " << described(allowed(page)) << "; said: " << said;
        }
    }
}

struct IntrusionName {
    std::string operator()(const testing::TestParamInfo<IntrusionCase>& info) const {
        return std::string(std::get<1>(info.param).name) + "_" + label(std::get<0>(info.param));
    }
};

std::vector<IntrusionCase> cases() {
    std::vector<IntrusionCase> some;
    for (const Intrusion& intrusion : kIntrusions) {
        for (const Variant& variant : deliveries_and_evictions()) some.emplace_back(variant, intrusion);
    }
    return some;
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap22Intrusion, testing::ValuesIn(cases()), IntrusionName{});

}  // namespace
}  // namespace faultline::test
