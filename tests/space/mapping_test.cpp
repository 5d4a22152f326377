// The mapping area: anonymous and file mappings are created, split, protected and unmapped, and their addresses are
// reused.
#include "space/space_fixture.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace faultline::test {
namespace {

class MappingTest : public SpaceTest {
protected:
    void SetUp() override {
        SpaceTest::SetUp();
        if (!IsSkipped()) space_.emplace(pager());
    }
    [[nodiscard]] AddressSpace& space() { return *space_; }

private:
    std::optional<AddressSpace> space_;
};

TEST_P(MappingTest, MappingsGrowDownAndDoNotOverlap) {
    std::byte* const first = space().map_anonymous(3 * kPage);
    std::byte* const second = space().map_anonymous(1);
    EXPECT_EQ(second + kPage, first);
    EXPECT_LT(first + 3 * kPage, space().stack_begin());
    write_stamps(first, 3 * kPage, stamp(1));
    write_stamps(second, kPage, stamp(2));
    EXPECT_TRUE(has_stamps(first, 3 * kPage, stamp(1)));
    EXPECT_TRUE(has_stamps(second, kPage, stamp(2)));
}

TEST_P(MappingTest, UnmappedAddressesAreReusedAndAreZeros) {
    std::byte* const all = space().map_anonymous(8 * kPage);
    for (std::size_t page = 0; page < 8; ++page) write_stamps(all + page * kPage, kPage, stamp(page));
    space().advise(all + 3 * kPage, kPage, Advice::dontneed);
    space().unmap(all + 2 * kPage, 3 * kPage);
    for (std::size_t page = 2; page < 5; ++page) {
        std::byte* const at = all + page * kPage + 7;
        EXPECT_EQ(FaultCatcher::read(at), (Caught{SIGSEGV, SEGV_MAPERR, at}));
    }
    for (const std::size_t page : {0UL, 1UL, 5UL, 6UL, 7UL})
        EXPECT_TRUE(has_stamps(all + page * kPage, kPage, stamp(page)));
    EXPECT_EQ(pager().stats().resident_bytes + pager().stats().swapped_bytes, 5 * kPage);
    std::byte* const again = space().map_anonymous(3 * kPage);
    EXPECT_EQ(again, all + 2 * kPage);
    EXPECT_TRUE(all_zeros(again, 3 * kPage));
}

TEST_P(MappingTest, AFileMappingShowsTheFileThenZerosThenRaisesSigbus) {
    const PatternFile file{2 * kPage + 100};
    std::byte* const at = space().map_file(file.fd(), 0, 4 * kPage);
    EXPECT_TRUE(has_pattern(at, 2 * kPage + 100, 0));
    EXPECT_TRUE(all_zeros(at + 2 * kPage + 100, kPage - 100));
    const Caught told = FaultCatcher::read(at + 3 * kPage + 9);
    EXPECT_EQ(told.signal, SIGBUS);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(told.address) / kPage,
              reinterpret_cast<std::uintptr_t>(at + 3 * kPage) / kPage);
}

TEST_P(MappingTest, ATruncatedFileRaisesSigbusUntilRetry) {
    const PatternFile file{4 * kPage};
    std::byte* const at = space().map_file(file.fd(), 0, 4 * kPage);
    file.truncate(kPage);
    EXPECT_TRUE(has_pattern(at, kPage, 0));
    EXPECT_EQ(FaultCatcher::read(at + 2 * kPage).signal, SIGBUS);
    EXPECT_EQ(FaultCatcher::write(at + 3 * kPage).signal, SIGBUS);
    file.truncate(4 * kPage);
    space().retry(at, 4 * kPage);
    EXPECT_TRUE(all_zeros(at + kPage, 3 * kPage));
}

TEST_P(MappingTest, AFileIsReadFromTheOffsetAndAfterItsDescriptorIsClosed) {
    const PatternFile file{6 * kPage};
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    std::byte* const at = space().map_file(fd, 2 * kPage, 3 * kPage);
    ::close(fd);
    EXPECT_TRUE(has_pattern(at, 3 * kPage, 2 * kPage));
    space().unmap(at, kPage);
    EXPECT_TRUE(has_pattern(at + kPage, 2 * kPage, 3 * kPage));
}

TEST_P(MappingTest, AMappingAtAFormerFileMappingHasItsOwnBytes) {
    const PatternFile file{4 * kPage};
    std::byte* const at = space().map_file(file.fd(), 0, 4 * kPage);
    store_word(at + kPage, 1);
    space().advise(at, 4 * kPage, Advice::dontneed);
    static_cast<void>(touch(at));
    MapOptions there{.address = at, .replace = true};
    EXPECT_EQ(space().map_anonymous(2 * kPage, there), at);
    EXPECT_TRUE(all_zeros(at, 2 * kPage));
    EXPECT_TRUE(has_pattern(at + 2 * kPage, 2 * kPage, 2 * kPage));
    there.address = at + kPage;
    EXPECT_EQ(space().map_file(file.fd(), kPage, kPage, there), at + kPage);
    EXPECT_TRUE(has_pattern(at + kPage, kPage, kPage));
}

TEST_P(MappingTest, SequentialAccessReadsManyPagesOfAFileAtOnce) {
    const PatternFile file{48 * kPage};
    std::byte* const at = space().map_file(file.fd(), 0, 48 * kPage, {.access = Access::read});
    space().advise(at, 48 * kPage, Advice::sequential);
    EXPECT_TRUE(has_pattern(at, 48 * kPage, 0));
    const PagerStats stats = pager().stats();
    EXPECT_LT(stats.hard_faults, 24U);
    EXPECT_EQ(stats.bytes_written, 0U);
}

TEST_P(MappingTest, WillneedReadsAFile) {
    const PatternFile file{8 * kPage};
    std::byte* const at = space().map_file(file.fd(), 0, 8 * kPage, {.access = Access::read_execute});
    space().advise(at, 8 * kPage, Advice::willneed);
    const Pin pin = space().pin(at, 8 * kPage, PinFor::reading);
    EXPECT_TRUE(has_pattern(at, 8 * kPage, 0));
}

TEST_P(MappingTest, ProtectionHoldsForItsPartAndKeepsTheContents) {
    std::byte* const at = space().map_anonymous(4 * kPage);
    for (std::size_t page = 0; page < 4; ++page) write_stamps(at + page * kPage, kPage, stamp(page));
    space().protect(at + kPage, kPage, Access::none);
    space().protect(at + 2 * kPage, kPage, Access::read);
    EXPECT_EQ(FaultCatcher::read(at + kPage), (Caught{SIGSEGV, SEGV_ACCERR, at + kPage}));
    EXPECT_EQ(FaultCatcher::read(at + 2 * kPage), Caught{});
    EXPECT_EQ(FaultCatcher::write(at + 2 * kPage), (Caught{SIGSEGV, SEGV_ACCERR, at + 2 * kPage}));
    EXPECT_EQ(space().segments().size(), 5U);  // including the stack
    space().protect(at, 4 * kPage, Access::read_write);
    EXPECT_EQ(space().segments().size(), 2U);
    for (std::size_t page = 0; page < 4; ++page) EXPECT_TRUE(has_stamps(at + page * kPage, kPage, stamp(page)));
    EXPECT_EQ(FaultCatcher::write(at + kPage + 100), Caught{});
}

TEST_P(MappingTest, AMappingWithoutAccessCanBeMadeAccessible) {
    std::byte* const at = space().map_anonymous(2 * kPage, {.access = Access::none});
    EXPECT_EQ(FaultCatcher::read(at), (Caught{SIGSEGV, SEGV_ACCERR, at}));
    space().protect(at, kPage, Access::read_write);
    EXPECT_EQ(FaultCatcher::write(at), Caught{});
    EXPECT_EQ(FaultCatcher::read(at + kPage).code, SEGV_ACCERR);
}

TEST_P(MappingTest, UnmappingAPinnedPartIsRefused) {
    std::byte* const at = space().map_anonymous(4 * kPage);
    write_stamps(at, 4 * kPage, stamp(1));
    {
        const Pin pin = space().pin(at + kPage, kPage);
        expect_refused([&] { space().unmap(at, 4 * kPage); }, EBUSY, "pinned");
        EXPECT_TRUE(has_stamps(at, 4 * kPage, stamp(1)));
    }
    space().unmap(at, 4 * kPage);
}

TEST_P(MappingTest, InvalidCallsAreRefused) {
    const PatternFile file{kPage};
    const auto at = [](std::uintptr_t address) { return MapOptions{.address = reinterpret_cast<void*>(address)}; };
    std::byte* const taken = space().map_anonymous(2 * kPage);
    expect_refused([&] { space().map_anonymous(0); }, EINVAL, "0 bytes");
    expect_refused([&] { space().map_anonymous(~std::size_t{0}); }, EINVAL, "more than there are");
    expect_refused([&] { space().map_anonymous(std::size_t{1} << 40); }, ENOMEM, "no such gap");
    expect_refused([&] { space().map_anonymous(kPage, at(std::uintptr_t{1} << 47)); }, EINVAL, "not canonical");
    expect_refused([&] { space().map_anonymous(kPage, at(0xffff'8000'0000'0000)); }, EINVAL, "end at 128 TiB");
    expect_refused([&] { space().map_anonymous(2 * kPage, at((std::uintptr_t{1} << 47) - kPage)); }, EINVAL, "128 TiB");
    expect_refused([&] { space().map_anonymous(kPage, at(kPage)); }, EINVAL, "not in the address space");
    expect_refused([&] { space().map_anonymous(kPage, {.address = taken + 1}); }, EINVAL, "multiple of 4 KiB");
    expect_refused([&] { space().map_anonymous(kPage, {.address = taken + kPage}); }, EEXIST, "something is mapped");
    expect_refused([&] { space().map_anonymous(kPage, {.address = space().stack_begin(), .replace = true}); }, EINVAL,
                   "stack");
    expect_refused([&] { space().map_anonymous(kPage, {.address = space().stack_begin() - kPage, .replace = true}); },
                   EINVAL, "stack");
    expect_refused([&] { space().map_file(file.fd(), 1, kPage); }, EINVAL, "must be a multiple of 4096");
    expect_refused([&] { space().map_file(-1, 0, kPage); }, EBADF, "descriptor");
    const int write_only = ::open(file.path().c_str(), O_WRONLY | O_CLOEXEC);
    expect_refused([&] { space().map_file(write_only, 0, kPage); }, EACCES, "reading");
    ::close(write_only);
    const int folder = ::open("/", O_RDONLY | O_CLOEXEC);
    expect_refused([&] { space().map_file(folder, 0, kPage); }, ENODEV, "regular");
    ::close(folder);
    expect_refused([&] { space().unmap(taken + 1, kPage); }, EINVAL, "multiple");
    expect_refused([&] { space().unmap(space().stack_end() - kPage, kPage); }, EINVAL, "stack");
    expect_refused([&] { space().protect(taken, 3 * kPage, Access::read); }, ENOMEM, "nothing is mapped");
    expect_refused([&] { space().advise(taken - kPage, 2 * kPage, Advice::cold); }, ENOMEM, "nothing is mapped");
    EXPECT_EQ(FaultCatcher::write(taken), Caught{});
    EXPECT_EQ(space().segments().size(), 2U);
}

TEST_P(MappingTest, DiscardedPagesAreZerosOrTheFilesBytes) {
    const PatternFile file{4 * kPage};
    std::byte* const zeros = space().map_anonymous(4 * kPage);
    std::byte* const of_file = space().map_file(file.fd(), 0, 4 * kPage);
    std::byte* const shared = space().map_file(file.fd(), 0, kPage, {.access = Access::read_write, .shared = true});
    std::byte* const heap = space().sbrk(static_cast<std::ptrdiff_t>(4 * kPage));
    for (std::byte* const at : {zeros, of_file, heap}) {
        for (std::size_t page = 0; page < 4; ++page) write_stamps(at + page * kPage, kPage, stamp(1));
        space().advise(at, 2 * kPage, Advice::dontneed);  // puts some pages into the swap store
        space().discard(at + kPage, 2 * kPage);
        EXPECT_TRUE(has_stamps(at, kPage, stamp(1)));
        EXPECT_TRUE(has_stamps(at + 3 * kPage, kPage, stamp(1)));
    }
    EXPECT_TRUE(all_zeros(zeros + kPage, 2 * kPage));
    EXPECT_TRUE(all_zeros(heap + kPage, 2 * kPage));
    EXPECT_TRUE(has_pattern(of_file + kPage, 2 * kPage, kPage));
    write_stamps(shared, kPage, stamp(2));
    space().discard(shared, kPage);
    EXPECT_TRUE(has_stamps(shared, kPage, stamp(2)));
    write_stamps(of_file + kPage, kPage, stamp(3));  // the page can be written again
    space().advise(of_file + kPage, kPage, Advice::dontneed);
    EXPECT_TRUE(has_stamps(of_file + kPage, kPage, stamp(3)));
    expect_refused([&] { space().discard(zeros, 5 * kPage); }, ENOMEM, "nothing is mapped");
    expect_refused([&] { space().discard(zeros + 1, kPage); }, EINVAL, "multiple");
}

TEST_P(MappingTest, ADiscardHoldsWhilePagesAreBeingWrittenOut) {
    pager().set_resident_limit(12 * kPage);
    const PatternFile file{8 * kPage};
    std::byte* const of_file = space().map_file(file.fd(), 0, 8 * kPage);
    std::byte* const zeros = space().map_anonymous(8 * kPage);
    for (std::size_t round = 1; round <= 60; ++round) {
        for (std::size_t page = 0; page < 8; ++page) {
            write_stamps(of_file + page * kPage, kPage, stamp(page, round));
            write_stamps(zeros + page * kPage, kPage, stamp(page, round));
        }
        const std::size_t first = round % 4;
        space().discard(of_file + first * kPage, 4 * kPage);
        space().discard(zeros + first * kPage, 4 * kPage);
        for (std::size_t page = 0; page < 8; ++page) {
            const bool gone = page >= first && page < first + 4;
            std::byte* const mapped = of_file + page * kPage;
            std::byte* const empty = zeros + page * kPage;
            ASSERT_TRUE(gone ? has_pattern(mapped, kPage, page * kPage) : has_stamps(mapped, kPage, stamp(page, round)))
                << "page " << page << " in round " << round;
            ASSERT_TRUE(gone ? all_zeros(empty, kPage) : has_stamps(empty, kPage, stamp(page, round)))
                << "page " << page << " in round " << round;
        }
    }
}

TEST_P(MappingTest, SystemCallsWorkOnPinnedPagesOnly) {
    const PatternFile file{4 * kPage};
    std::byte* const at = space().map_anonymous(4 * kPage);
    EXPECT_EQ(io::pread(file.fd(), at + 100, 2 * kPage, 50), static_cast<std::ptrdiff_t>(2 * kPage));
    EXPECT_TRUE(has_pattern(at + 100, 2 * kPage, 50));
    space().protect(at, kPage, Access::read);
    EXPECT_EQ(io::pread(file.fd(), at, 10, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    space().unmap(at + 3 * kPage, kPage);
    EXPECT_EQ(io::pread(file.fd(), at + 3 * kPage, 10, 0), -1);
    EXPECT_EQ(errno, EFAULT);
}

TEST_P(MappingTest, ThreadsFaultWhileOthersMapAndUnmap) {
    const Watchdog watchdog;
    pager().set_resident_limit(16 * kPage);  // pages are written out all the time, even while they are unmapped
    const PatternFile file{16 * kPage};
    std::byte* const steady = space().map_file(file.fd(), 0, 16 * kPage);
    run_threads(3, [&](unsigned index) {
        for (std::size_t round = 0; round < 40; ++round) {
            if (index == 0) {
                for (std::size_t page = 0; page < 16; ++page) {
                    EXPECT_TRUE(has_pattern(steady + page * kPage, 64, page * kPage));
                }
                space().advise(steady, 16 * kPage, Advice::dontneed);
                continue;
            }
            std::byte* const mine =
                index == 1 ? space().map_anonymous(6 * kPage) : space().map_file(file.fd(), 0, 6 * kPage);
            for (std::size_t page = 0; page < 6; ++page) {
                std::byte* const at = mine + page * kPage;
                EXPECT_TRUE(index == 1 ? all_zeros(at, 64) : has_pattern(at, 64, page * kPage));
                write_stamps(at, kPage, stamp(page, round));
            }
            space().unmap(mine + kPage, 3 * kPage);
            for (const std::size_t page : {0UL, 4UL, 5UL}) {
                EXPECT_TRUE(has_stamps(mine + page * kPage, kPage, stamp(page, round)));
            }
            space().unmap(mine, 6 * kPage);
        }
    });
}

INSTANTIATE_TEST_SUITE_P(Deliveries, MappingTest, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
