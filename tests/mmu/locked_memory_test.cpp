// mlockall(2): the kernel fills memory that it locks. A pager's regions and metadata are not filled, whether the
// program calls it before or after the pager exists, and the pager keeps working.

#include "support/process.hpp"
#include "traps/trap_support.hpp"

#include <sys/mman.h>

#include <cstddef>

namespace faultline::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr int kSkipped = 97;

bool have_guards() {
    constexpr int kGuardInstall = 102;  // Linux 6.13
    void* const page = ::mmap(nullptr, kBasePageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool have = ::madvise(page, kBasePageBytes, kGuardInstall) == 0;
    ::munmap(page, kBasePageBytes);
    return have;
}

/// Fills a region larger than the limit and checks all of it.
bool works(Pager& pager) {
    Region region = pager.reserve(2 * kMiB);
    fill_with_units(region);
    return wrong_words(region) == 0;
}

class LockedMemory : public TrapMatrix {
protected:
    static Config config() { return config_for(GetParam(), kMiB); }
    static void expect_success(const ChildEnd& end) {
        if (end.exited_with(kSkipped)) GTEST_SKIP() << "this kernel or user cannot lock all memory";
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
};

TEST_P(LockedMemory, IsNotFilledByWhatIsMadeAfterwards) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    expect_success(in_child([] {
        if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return kSkipped;
        Pager pager{config()};
        const Heap heap{pager, HeapOptions{.reservation = std::size_t{4} << 30}};
        if (resident_bytes() > 128 * kMiB) return 1;
        return works(pager) ? 0 : 2;
    }));
}

TEST_P(LockedMemory, IsNotFilledByWhatIsLockedAfterwards) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    if (!have_guards()) GTEST_SKIP() << "this kernel has no guard markers";
    expect_success(in_child([] {
        Pager pager{config()};
        Heap heap{pager, HeapOptions{.reservation = std::size_t{4} << 30}};
        Region region = pager.reserve(64 * kMiB);
        write_word(region.data(), 1);
        const std::size_t before = resident_bytes();
        for (int turn = 0; turn < 2; ++turn) {
            if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return kSkipped;
            if (resident_bytes() > before + 128 * kMiB) return 1;
            if (region.stats().first_touches > 16) return 2;  // read-ahead may have added neighbours
            if (read_word(region.data()) != 1 || !works(pager)) return 3;
            if (heap.try_allocate(kMiB) == nullptr) return 4;
        }
        return 0;
    }));
}

INSTANTIATE_TEST_SUITE_P(Matrix, LockedMemory, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
