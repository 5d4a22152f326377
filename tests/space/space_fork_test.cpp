// An address space in a child of fork: unusable, or an inherited copy.
#include "space/space_fixture.hpp"
#include "support/child.hpp"

#include <vector>

namespace faultline::test {
namespace {

class SpaceFork : public SpaceTest {
protected:
    [[nodiscard]] std::vector<ImageSegment> image() const {
        return {{.name = "text", .file = file_.path(), .file_bytes = 2 * kPage, .memory_bytes = 2 * kPage},
                {.name = "data",
                 .file = file_.path(),
                 .file_offset = 2 * kPage,
                 .file_bytes = 2 * kPage,
                 .address = 2 * kPage,
                 .memory_bytes = 4 * kPage,
                 .access = Access::read_write}};
    }
    PatternFile file_{4 * kPage};
};

TEST_P(SpaceFork, CallsInTheChildAreRefused) {
    AddressSpace space{pager(), image()};
    std::byte* const heap = space.sbrk(static_cast<std::ptrdiff_t>(2 * kPage));
    write_stamps(heap, kPage, stamp(1));
    const ChildEnd end = in_child([&] {
        if (FaultCatcher::read(heap).signal != SIGSEGV) return 1;
        if (FaultCatcher::read(space.image()).signal != SIGSEGV) return 2;
        try {
            static_cast<void>(space.sbrk(0));
            return 3;
        } catch (const std::system_error& error) {
            if (error.code().value() != EPERM) return 4;
        }
        const AddressSpace gone{std::move(space)};
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(has_stamps(heap, kPage, stamp(1)));
}

class SpaceInherited : public SpaceFork {
protected:
    void SetUp() override {
#ifdef __SANITIZE_THREAD__
        GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads start any";
#endif
        SpaceFork::SetUp();
    }
    [[nodiscard]] Config config() const override {
        Config config = SpaceTest::config();
        config.fork = ForkPolicy::inherit;
        return config;
    }
};

TEST_P(SpaceInherited, ChildHasACopyAndLaterWritesAreNotShared) {
    AddressSpace space{pager(), image()};
    std::byte* const data = space.image() + 2 * kPage;
    std::byte* const heap = space.sbrk(static_cast<std::ptrdiff_t>(4 * kPage));
    std::byte* const mapping = space.map_file(file_.fd(), 0, 2 * kPage);
    write_stamps(data, kPage, stamp(1));
    write_stamps(heap, kPage, stamp(2));
    write_stamps(heap + kPage, kPage, stamp(3));
    space.protect(heap + kPage, kPage, Access::read);
    space.protect(mapping + kPage, kPage, Access::none);
    space.advise(heap, 1, Advice::dontneed);
    const ChildEnd end = in_child([&] {
        if (!has_pattern(space.image(), 2 * kPage, 0)) return 1;
        if (!has_stamps(data, kPage, stamp(1)) || !has_pattern(data + kPage, kPage, 3 * kPage)) return 2;
        if (!has_stamps(heap, kPage, stamp(2)) || !has_stamps(heap + kPage, kPage, stamp(3))) return 3;
        if (!has_pattern(mapping, kPage, 0)) return 4;
        if (FaultCatcher::write(heap + kPage) != Caught{SIGSEGV, SEGV_ACCERR, heap + kPage}) return 5;
        if (FaultCatcher::read(mapping + kPage) != Caught{SIGSEGV, SEGV_ACCERR, mapping + kPage}) return 6;
        if (FaultCatcher::write(space.image()) != Caught{SIGSEGV, SEGV_ACCERR, space.image()}) return 7;
        if (FaultCatcher::read(heap + 4 * kPage) != Caught{SIGSEGV, SEGV_MAPERR, heap + 4 * kPage}) return 8;
        write_stamps(heap, kPage, stamp(20));
        if (space.brk(heap + 2 * kPage) != heap + 2 * kPage) return 9;
        if (space.brk(heap + 6 * kPage) != heap + 6 * kPage || !all_zeros(heap + 2 * kPage, 4 * kPage)) return 10;
        space.unmap(mapping, 2 * kPage);
        return has_stamps(heap, kPage, stamp(20)) ? 0 : 11;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(has_stamps(heap, kPage, stamp(2)));
    EXPECT_TRUE(has_pattern(mapping, kPage, 0));
    EXPECT_EQ(space.brk(nullptr), heap + 4 * kPage);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, SpaceFork, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});
INSTANTIATE_TEST_SUITE_P(Deliveries, SpaceInherited, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
