// A file that several spaces of a pager map shared, several times: all mappings use one set of pages.
#include "space/space_fixture.hpp"
#include "support/child.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <random>

namespace faultline::test {
namespace {

class SharedFiles : public SpaceTest {
protected:
    static constexpr std::size_t kPages = 24;

    [[nodiscard]] static MapOptions shared() { return {.shared = true}; }
    [[nodiscard]] std::byte* map(AddressSpace& space, std::size_t page = 0, std::size_t pages = kPages) {
        return space.map_file(file_.fd(), page * kPage, pages * kPage, shared());
    }
    /// Waits until the counters include all faults so far. A page is usable before its fault is counted; pinning waits.
    static void wait_for_counters(AddressSpace& space, std::byte* at) {
        static_cast<void>(space.pin(at, kPages * kPage, PinFor::reading));
    }
    static std::atomic_ref<std::uint64_t> counter(std::byte* at) {
        return std::atomic_ref{*reinterpret_cast<std::uint64_t*>(at)};
    }

    PatternFile file_{kPages * kPage};
};

TEST_P(SharedFiles, AWriteIsSeenAtOnceInEveryMappingOfEverySpace) {
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = map(one);
    std::byte* const again = map(one, 2, 8);
    const int other = ::open(file_.path().c_str(), O_RDONLY | O_CLOEXEC);
    const std::byte* const reading = two.map_file(other, 0, kPages * kPage, {.access = Access::read, .shared = true});
    ::close(other);
    EXPECT_TRUE(has_pattern(reading, kPages * kPage, 0));
    for (std::size_t page = 0; page < kPages; ++page) {
        store_word(first + page * kPage, stamp(page));
        EXPECT_EQ(load_word(reading + page * kPage), stamp(page)) << "page " << page;
        if (page < 2 || page >= 10) continue;
        EXPECT_EQ(load_word(again + (page - 2) * kPage), stamp(page)) << "page " << page;
        store_word(again + (page - 2) * kPage + 8, stamp(page, 1));
        EXPECT_EQ(load_word(first + page * kPage + 8), stamp(page, 1)) << "page " << page;
        EXPECT_EQ(load_word(reading + page * kPage + 8), stamp(page, 1)) << "page " << page;
    }
    std::byte* const late = map(two);  // sees the pages that are resident already
    for (std::size_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(late + page * kPage), stamp(page));
        store_word(late + page * kPage, stamp(page, 2));
        EXPECT_EQ(load_word(first + page * kPage), stamp(page, 2));
    }
    EXPECT_EQ(file_.contents()[0], PatternFile::pattern(0)) << "no call has asked to write it";
}

TEST_P(SharedFiles, CountInMemoryOnceAndAreWrittenOnce) {
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = map(one);
    std::byte* const second = map(two);
    for (std::size_t page = 0; page < kPages; ++page) {
        store_word(first + page * kPage, stamp(page));
        store_word(second + page * kPage + 8, stamp(page, 1));
    }
    wait_for_counters(one, first);
    const PagerStats before = pager().stats();
    EXPECT_EQ(before.resident_bytes, kPages * kPage);
    EXPECT_EQ(before.dirty_bytes, kPages * kPage);
    for (AddressSpace* const space : {&one, &two}) {
        const std::vector<SegmentInfo> all = space->segments();
        const auto mapping = std::find_if(all.begin(), all.end(), [](const auto& info) { return info.shared; });
        ASSERT_NE(mapping, all.end());
        EXPECT_EQ(space->usage(*mapping).resident, kPages * kPage);
        EXPECT_EQ(space->usage(*mapping).dirty, kPages * kPage);
    }
    EXPECT_EQ(one.explain(first).page_state, "resident, dirty");
    one.sync(first, kPages * kPage);
    two.sync(second, kPages * kPage);
    EXPECT_EQ(pager().stats().bytes_written - before.bytes_written, kPages * kPage);
    const std::vector<std::byte> contents = file_.contents();
    for (std::size_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(contents.data() + page * kPage), stamp(page));
        EXPECT_EQ(load_word(contents.data() + page * kPage + 8), stamp(page, 1));
    }
    const std::byte* const apart = two.map_file(file_.fd(), 0, kPage);
    EXPECT_EQ(load_word(apart), stamp(0)) << "a private mapping that read the file after the write";
}

TEST_P(SharedFiles, LiveUntilTheLastMappingEndsAndAreWrittenThen) {
    AddressSpace one{pager()};
    std::optional<AddressSpace> two{pager()};
    std::byte* const first = map(one);
    std::byte* const second = map(*two);
    for (std::size_t page = 0; page < kPages; ++page) store_word(first + page * kPage, stamp(page));
    wait_for_counters(one, first);
    const std::uint64_t written = pager().stats().bytes_written;
    one.unmap(first + 4 * kPage, 4 * kPage);
    EXPECT_EQ(FaultCatcher::read(first + 4 * kPage).code, SEGV_MAPERR);
    EXPECT_EQ(pager().stats().resident_bytes, kPages * kPage) << "the other mapping still uses them";
    EXPECT_EQ(pager().stats().bytes_written, written);
    for (std::size_t page = 0; page < kPages; ++page) {
        ASSERT_EQ(load_word(second + page * kPage), stamp(page));
        store_word(second + page * kPage, stamp(page, 1));
        if (page < 4 || page >= 8) {
            ASSERT_EQ(load_word(first + page * kPage), stamp(page, 1));
        }
    }
    wait_for_counters(two.value(), second);
    two.reset();
    EXPECT_EQ(load_word(file_.contents().data() + 5 * kPage), stamp(5, 1)) << "no mapping of that page is left";
    EXPECT_EQ(pager().stats().resident_bytes, (kPages - 4) * kPage);
    EXPECT_EQ(load_word(first), stamp(0, 1));
    one.unmap(first, kPages * kPage);
    EXPECT_EQ(pager().stats().resident_bytes, 0U);
    const std::vector<std::byte> contents = file_.contents();
    for (std::size_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(contents.data() + page * kPage), stamp(page, 1));
    }
    std::byte* const anew = map(one);
    EXPECT_EQ(load_word(anew + 5 * kPage), stamp(5, 1));
    store_word(one.map_anonymous(kPage), 1);  // where a shared mapping was, or beside one
}

TEST_P(SharedFiles, EachMappingHasAProtectionOfItsOwn) {
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = map(one);
    std::byte* const second = map(two);
    for (std::size_t page = 0; page < kPages; page += 2) store_word(first + page * kPage, stamp(page));
    two.protect(second, kPages * kPage, Access::read);
    two.protect(second + 2 * kPage, 2 * kPage, Access::none);
    EXPECT_EQ(FaultCatcher::write(second).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::write(second + kPage).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::read(second + 2 * kPage).code, SEGV_ACCERR);
    for (std::size_t page = 0; page < kPages; ++page) {
        store_word(first + page * kPage, stamp(page, 1));
        if (page == 2 || page == 3) continue;
        ASSERT_EQ(load_word(second + page * kPage), stamp(page, 1));
    }
    two.advise(second, 2 * kPage, Advice::dontneed);
    EXPECT_EQ(load_word(first), stamp(0, 1));
    EXPECT_EQ(FaultCatcher::write(second).code, SEGV_ACCERR) << "even if the page came in through the other mapping";
    two.protect(second, kPages * kPage, Access::read_write);
    for (std::size_t page = 0; page < kPages; ++page) {
        store_word(second + page * kPage, stamp(page, 2));
        ASSERT_EQ(load_word(first + page * kPage), stamp(page, 2));
    }
}

TEST_P(SharedFiles, ATruncatedFileRaisesSigbusInAllMappings) {
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = map(one);
    std::byte* const second = map(two);
    file_.truncate(8 * kPage);
    for (std::byte* const at : {first, second, first}) {
        const Caught caught = FaultCatcher::write(at + 9 * kPage + 5);
        EXPECT_EQ(caught.signal, SIGBUS);
        EXPECT_EQ(caught.address, at + 9 * kPage + 5);
    }
    const std::byte* const late = map(two);
    EXPECT_EQ(FaultCatcher::read(late + 9 * kPage).signal, SIGBUS);
    EXPECT_EQ(FaultCatcher::read(late + 7 * kPage).signal, 0);
    file_.truncate(kPages * kPage);
    one.retry(first, kPages * kPage);
    EXPECT_EQ(FaultCatcher::write(second + 9 * kPage, std::byte{3}).signal, 0);
    EXPECT_EQ(first[9 * kPage], std::byte{3});
    EXPECT_EQ(late[9 * kPage], std::byte{3});
}

TEST_P(SharedFiles, AreSharedWithAClone) {
    AddressSpace space{pager()};
    std::byte* const file = map(space);
    std::byte* const heap = space.sbrk(static_cast<std::ptrdiff_t>(kPage));
    store_word(file, stamp(1));
    store_word(heap, stamp(1));
    std::optional<AddressSpace> clone{space.clone()};
    std::byte* const there = clone->counterpart(space, file);
    EXPECT_EQ(load_word(there), stamp(1));
    store_word(there, stamp(2));
    EXPECT_EQ(load_word(file), stamp(2));
    store_word(file + 3 * kPage, stamp(3));
    EXPECT_EQ(load_word(there + 3 * kPage), stamp(3));
    store_word(clone->counterpart(space, heap), stamp(4));
    EXPECT_EQ(load_word(heap), stamp(1));
    clone.reset();
    EXPECT_EQ(load_word(file), stamp(2));
}

TEST_P(SharedFiles, APinForbidsUnmappingOfItsOwnMappingOnly) {
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = map(one);
    std::byte* const second = map(two);
    Pin pin = one.pin(first, 2 * kPage);
    EXPECT_EQ(pager().stats().pinned_bytes, 2 * kPage);
    expect_refused([&] { one.unmap(first, 4 * kPage); }, EBUSY, "pinned");
    store_word(first, stamp(1));
    two.advise(second, kPages * kPage, Advice::dontneed);
    EXPECT_EQ(pager().stats().resident_bytes, 2 * kPage);
    expect_refused([&] { two.sync(second, kPage); }, EBUSY, "pinned");
    const PatternFile source{kPage};
    ASSERT_EQ(::pread(source.fd(), first + kPage, kPage, 0), static_cast<ssize_t>(kPage));  // the purpose of a pin
    EXPECT_TRUE(has_pattern(second + kPage, kPage, 0));
    two.unmap(second, kPages * kPage);
    EXPECT_EQ(load_word(first), stamp(1));
    pin.release();
    EXPECT_EQ(pager().stats().pinned_bytes, 0U);
    one.unmap(first, kPages * kPage);
    EXPECT_EQ(load_word(file_.contents().data()), stamp(1));
}

TEST_P(SharedFiles, CanBeMappedInPiecesAndFarApart) {
    constexpr std::size_t kFar = std::size_t{200} << 20;
    constexpr std::size_t kEdge = std::size_t{64} << 20;
    file_.truncate(kFar);
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const far = one.map_file(file_.fd(), kFar - 4 * kPage, 4 * kPage, shared());
    std::byte* const edge = one.map_file(file_.fd(), kEdge - 2 * kPage, 4 * kPage, shared());
    std::byte* const all = two.map_file(file_.fd(), 0, kFar, shared());
    for (std::size_t page = 0; page < 4; ++page) {
        store_word(far + page * kPage, stamp(page));
        store_word(all + kEdge + page * kPage - 2 * kPage, stamp(page, 1));
        EXPECT_EQ(load_word(all + kFar + page * kPage - 4 * kPage), stamp(page));
        EXPECT_EQ(load_word(edge + page * kPage), stamp(page, 1));
    }
    two.advise(all, kFar, Advice::dontneed);
    two.protect(all + kEdge - kPage, 2 * kPage, Access::read);
    EXPECT_EQ(load_word(edge + kPage), stamp(1, 1));
    EXPECT_EQ(load_word(all + kEdge), stamp(2, 1));
    EXPECT_EQ(FaultCatcher::write(all + kEdge).signal, SIGSEGV);
    two.unmap(all, kFar);
    EXPECT_EQ(load_word(edge + 3 * kPage), stamp(3, 1));
}

/// A shared mapping's memory file is as long as all addresses. A limit on file sizes forbids it: then sharing works
/// through the file, as on old kernels.
TEST_P(SharedFiles, AreSharedThroughTheFileWithoutASharedRegion) {
    if (GetParam().delivery == Delivery::sigsegv) GTEST_SKIP() << "sigsegv delivery always needs such a file";
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads start any";
#endif
    const ChildEnd end = in_child([&] {
        const rlimit limit{rlim_t{1} << 40, rlim_t{1} << 40};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        Pager own{config()};
        AddressSpace one{own};
        AddressSpace two{own};
        std::byte* const first = map(one);
        std::byte* const second = map(two);
        store_word(first, stamp(1));
        one.sync(first, kPages * kPage);
        if (load_word(second) != stamp(1)) return 2;
        AddressSpace clone = one.clone();
        store_word(clone.counterpart(one, first) + kPage, stamp(2));
        clone.unmap(clone.counterpart(one, first), 2 * kPage);
        if (load_word(first + kPage) != stamp(2)) return 3;
        store_word(second + 2 * kPage, stamp(3));
        two.unmap(second, kPages * kPage);
        return load_word(file_.contents().data() + 2 * kPage) == stamp(3) ? 0 : 4;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

/// The limit is smaller than the file, so that pages are evicted and read all the time.
class SharedFilesUnderPressure : public SharedFiles {
protected:
    static constexpr std::size_t kFilePages = 96;
    [[nodiscard]] Config config() const override { return config_for(GetParam(), 20 * kPage); }
    PatternFile large_{std::vector<std::byte>(kFilePages * kPage)};
};

TEST_P(SharedFilesUnderPressure, AtomicAddsThroughDifferentMappingsAllCount) {
    constexpr unsigned kThreads = 3;
    constexpr std::uint64_t kSteps = 1'500;
    const Watchdog watchdog;
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    const std::array views{one.map_file(large_.fd(), 0, kFilePages * kPage, shared()),
                           two.map_file(large_.fd(), 0, kFilePages * kPage, shared()),
                           one.map_file(large_.fd(), 0, kFilePages * kPage, shared())};
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_threads(kThreads, [&](unsigned thread) {
        const AlternateStack stack;
        std::mt19937_64 random{seed + thread};
        for (std::uint64_t step = 0; step < kSteps; ++step) {
            const std::size_t page = random() % (step % 2 == 0 ? 4 : kFilePages);
            counter(views[thread] + page * kPage).fetch_add(1);
            if (step % 512 == 0) (thread == 1 ? two : one).sync(views[thread], kFilePages * kPage);
        }
    });
    std::uint64_t sum = 0;
    for (std::size_t page = 0; page < kFilePages; ++page) {
        sum += counter(views[0] + page * kPage).load();
        ASSERT_EQ(load_word(views[0] + page * kPage), load_word(views[1] + page * kPage)) << "page " << page;
    }
    EXPECT_EQ(sum, kThreads * kSteps);
    two.sync(views[1], kFilePages * kPage);
    const std::vector<std::byte> contents = large_.contents();
    for (std::size_t page = 0; page < kFilePages; ++page) sum -= load_word(contents.data() + page * kPage);
    EXPECT_EQ(sum, 0U);
}

TEST_P(SharedFilesUnderPressure, MappingsAreMadeProtectedAndUnmappedWhileOthersAreUsed) {
    constexpr std::uint64_t kSteps = 2'000;
    const Watchdog watchdog;
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const stays = one.map_file(large_.fd(), 0, kFilePages * kPage, shared());
    std::atomic<bool> done{false};
    std::uint64_t added = 0;
    run_threads(2, [&](unsigned thread) {
        const AlternateStack stack;
        if (thread == 0) {
            for (std::uint64_t step = 0; step < kSteps; ++step) {
                counter(stays + step * 7 % kFilePages * kPage).fetch_add(1);
            }
            done.store(true);
            return;
        }
        for (std::uint64_t step = 0; step < 3 || !done.load(); ++step) {
            const std::size_t first = step * 5 % (kFilePages - 8);
            std::byte* const comes = two.map_file(large_.fd(), first * kPage, 8 * kPage, shared());
            for (std::size_t page = 0; page < 8; ++page, ++added) counter(comes + page * kPage).fetch_add(1);
            two.protect(comes, 4 * kPage, Access::read);
            static_cast<void>(touch(comes));
            two.protect(comes, 4 * kPage, Access::read_write);
            for (std::size_t page = 0; page < 8; ++page, ++added) counter(comes + page * kPage).fetch_add(1);
            two.unmap(comes, 8 * kPage);
        }
    });
    std::uint64_t sum = 0;
    for (std::size_t page = 0; page < kFilePages; ++page) sum += counter(stays + page * kPage).load();
    EXPECT_EQ(sum, kSteps + added);
}

TEST_P(SharedFilesUnderPressure, OneInstructionCanUseSeveralMappings) {
    const Watchdog watchdog;
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = one.map_file(large_.fd(), 0, kFilePages * kPage, shared());
    std::byte* const second = two.map_file(large_.fd(), 0, kFilePages * kPage, shared());
    for (std::size_t page = 0; page < kFilePages; ++page) {
        std::byte* const from = first + page * kPage;
        for (std::size_t i = 0; i < kPage / 2; ++i) from[i] = PatternFile::pattern(page + i);
        std::memcpy(second + page * kPage + kPage / 2, from, kPage / 2);
        ASSERT_EQ(std::memcmp(from, from + kPage / 2, kPage / 2), 0) << "page " << page;
        // Copies from the end of one page to another page; one of them is absent.
        std::byte* const there = second + (page + kFilePages / 2) % kFilePages * kPage + 8;
        std::memcpy(there, from + 16, 64);
        ASSERT_EQ(std::memcmp(there, from + 16, 64), 0) << "page " << page;
    }
}

/// The same random calls and accesses on the kernel's mappings of a file and on a space's mappings of a copy.
TEST_P(SharedFilesUnderPressure, AgreeWithTheKernelsSharedMappings) {
    constexpr int kSteps = 700;
    constexpr std::size_t kFileHas = 17;
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t end) { return static_cast<std::size_t>(random() % end); };
    const PatternFile theirs{kFileHas * kPage};
    const PatternFile ours{kFileHas * kPage};
    auto* const kernel =
        static_cast<std::byte*>(::mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(kernel, MAP_FAILED);
    constexpr std::array kBits{PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC};
    {
        AddressSpace space{pager()};
        std::byte* const mine = space.map_anonymous(kPages * kPage);
        space.unmap(mine, kPages * kPage);
        std::array<bool, kPages> mapped{};
        for (int step = 0; step < kSteps; ++step) {
            SCOPED_TRACE("step " + std::to_string(step));
            const std::size_t page = below(kPages);
            const std::size_t pages = below(std::min<std::size_t>(kPages - page, 8)) + 1;
            const auto access = static_cast<Access>(below(4));
            const std::uint64_t choice = below(100);
            const bool all_mapped =
                std::all_of(mapped.begin() + page, mapped.begin() + page + pages, [](bool is) { return is; });
            if (choice < 8) {
                const std::size_t offset = below(kFileHas + 2) * kPage;
                ASSERT_NE(::mmap(kernel + page * kPage, pages * kPage, kBits[static_cast<std::size_t>(access)],
                                 MAP_SHARED | MAP_FIXED, theirs.fd(), static_cast<off_t>(offset)),
                          MAP_FAILED);
                space.map_file(ours.fd(), offset, pages * kPage,
                               {.access = access, .address = mine + page * kPage, .replace = true, .shared = true});
                std::fill_n(mapped.begin() + static_cast<std::ptrdiff_t>(page), pages, true);
            } else if (choice < 10) {
                ASSERT_NE(::mmap(kernel + page * kPage, pages * kPage, PROT_NONE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                          MAP_FAILED);
                space.unmap(mine + page * kPage, pages * kPage);
                std::fill_n(mapped.begin() + static_cast<std::ptrdiff_t>(page), pages, false);
            } else if (choice < 18) {
                if (!all_mapped) continue;
                ASSERT_EQ(::mprotect(kernel + page * kPage, pages * kPage, kBits[static_cast<std::size_t>(access)]), 0);
                space.protect(mine + page * kPage, pages * kPage, access);
            } else if (choice < 24) {
                if (!all_mapped) continue;
                choice < 22 ? space.advise(mine + page * kPage, pages * kPage, Advice::dontneed)
                            : space.sync(mine + page * kPage, pages * kPage);
            } else {
                const std::size_t at = page * kPage + below(kPage);
                const auto value = static_cast<std::byte>(random());
                const bool write = below(2) == 0;
                const Caught expected =
                    write ? FaultCatcher::write(kernel + at, value) : FaultCatcher::read(kernel + at);
                const Caught told = write ? FaultCatcher::write(mine + at, value) : FaultCatcher::read(mine + at);
                // Under `sigsegv` each access to an unreadable page raises SIGBUS, whatever the page's protection.
                if (told.signal == SIGBUS && expected.signal == SIGSEGV && mapped[page] &&
                    GetParam().delivery == Delivery::sigsegv) {
                    continue;
                }
                ASSERT_EQ(told.signal, expected.signal) << "page " << page << (write ? " written" : " read");
                if (told.signal != 0) {
                    ASSERT_EQ(told.address, mine + at);
                    continue;
                }
                ASSERT_EQ(std::memcmp(mine + page * kPage, kernel + page * kPage, kPage), 0) << "page " << page;
            }
        }
    }
    ::munmap(kernel, kPages * kPage);
    EXPECT_EQ(ours.contents(), theirs.contents());
}

class SharedFilesInherited : public SharedFiles {
protected:
    void SetUp() override {
#ifdef __SANITIZE_THREAD__
        GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads start any";
#endif
        SharedFiles::SetUp();
    }
    [[nodiscard]] Config config() const override {
        Config config = SpaceTest::config();
        config.fork = ForkPolicy::inherit;
        return config;
    }
};

TEST_P(SharedFilesInherited, AreOneSetOfPagesInAnInheritingChild) {
    AddressSpace one{pager()};
    AddressSpace two{pager()};
    std::byte* const first = map(one);
    std::byte* const second = map(two);
    store_word(first, stamp(1));
    two.protect(second + 2 * kPage, kPage, Access::read);
    const ChildEnd end = in_child([&] {
        if (load_word(second) != stamp(1) || !has_pattern(second + kPage, kPage, kPage)) return 1;
        store_word(first + kPage, stamp(2));
        if (load_word(second + kPage) != stamp(2)) return 2;
        store_word(first + 2 * kPage, stamp(3));
        if (load_word(second + 2 * kPage) != stamp(3)) return 3;
        if (FaultCatcher::write(second + 2 * kPage).signal != SIGSEGV) return 4;
        two.unmap(second, kPages * kPage);
        one.sync(first, kPages * kPage);
        return load_word(file_.contents().data() + kPage) == stamp(2) ? 0 : 5;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    store_word(second, stamp(4));
    EXPECT_EQ(load_word(first), stamp(4));
}

constexpr std::array kVariants{
    Variant{Delivery::uffd_signal, Eviction::move},
    Variant{Delivery::uffd_threads, Eviction::copy},
    Variant{Delivery::sigsegv, Eviction::guard},
    Variant{Delivery::sigsegv, Eviction::protect},
};
INSTANTIATE_TEST_SUITE_P(Deliveries, SharedFiles, ::testing::ValuesIn(kVariants), VariantName{});
INSTANTIATE_TEST_SUITE_P(Deliveries, SharedFilesUnderPressure, ::testing::ValuesIn(kVariants), VariantName{});
INSTANTIATE_TEST_SUITE_P(Deliveries, SharedFilesInherited, ::testing::ValuesIn(kVariants), VariantName{});

}  // namespace
}  // namespace faultline::test
