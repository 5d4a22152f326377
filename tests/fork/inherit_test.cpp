// ForkPolicy::inherit: the child gets its own copy of the parent's memory, and neither sees later writes of the other.
// A child's exit code names the check that failed; 0 means that all passed.

#include "core/departure.hpp"
#include "pager/pager.hpp"
#include "traps/trap_support.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

extern char** environ;

namespace faultline::test {
namespace {

constexpr std::uint64_t kPages = 64;

class Inherit : public TrapMatrix {
protected:
    [[nodiscard]] Config config(std::size_t frames) const {
        Config config = config_with(frames);
        config.fork = ForkPolicy::inherit;
        return config;
    }
};

void write_version(Region& region, std::uint64_t unit, std::uint64_t version) {
    write_word(region.data() + unit * kBasePageBytes, version);
    write_word(region.data() + (unit + 1) * kBasePageBytes - 8, ~version);
}

bool has_version(const Region& region, std::uint64_t unit, std::uint64_t version) {
    return read_word(region.data() + unit * kBasePageBytes) == version &&
           read_word(region.data() + (unit + 1) * kBasePageBytes - 8) == ~version;
}

void write_versions(Region& region, std::uint64_t version) {
    for (std::uint64_t unit = 0; unit < units_of(region); ++unit) write_version(region, unit, version + unit);
}

std::uint64_t wrong_versions(const Region& region, std::uint64_t version) {
    std::uint64_t wrong = 0;
    for (std::uint64_t unit = 0; unit < units_of(region); ++unit)
        wrong += has_version(region, unit, version + unit) ? 0U : 1U;
    return wrong;
}

TEST_P(Inherit, ChildReadsTheParentsBytesAndLaterWritesStayPrivate) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(16));
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    write_versions(region, 1000);
    const ChildEnd end = in_child([&] {
        if (wrong_versions(region, 1000) != 0) return 1;
        write_versions(region, 2000);
        if (wrong_versions(region, 2000) != 0) return 2;
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(wrong_versions(region, 1000), 0U);
    write_versions(region, 3000);
    EXPECT_EQ(wrong_versions(region, 3000), 0U);
}

TEST_P(Inherit, ResidentPagesOfTheParentCountAsJustEvictedInTheChild) {
    constexpr std::uint64_t kEvictions = 1000;
    std::unique_ptr<pager::Pager> pager;
    try {
        pager = std::make_unique<pager::Pager>(config(32));
    } catch (const std::system_error& error) {
        if (may_be_skipped(error, GetParam().delivery)) GTEST_SKIP() << error.what();
        throw;
    }
    pager->kept_pages().ask_for_room([](std::uint64_t) { return false; });
    pager::Region& region = pager->reserve(2 * GetParam().page_size, GetParam().page_size);
    const auto evict_first = [&] {
        write_word(region.address_of(0), 1);
        pager->advice().evict(region, {0, 1});
    };
    for (std::uint64_t eviction = 0; eviction < kEvictions; ++eviction) evict_first();
    write_word(region.address_of(1), 2);
    const ChildEnd end = in_child([&] {
        const core::Departure inherited = core::Departure::from(region.load(1).payload());
        evict_first();
        if (!region.load(0).is(core::PageState::stored)) return 1;
        // The number of evictions that the child's pager had counted when it evicted the page.
        const std::uint32_t now =
            core::Departure::from(region.load(0).payload()).payload() >> core::Departure::kTagBits;
        return inherited.evictions_until(now) <= 1 ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    pager->destroy(region);
}

TEST_P(Inherit, ChildDoesNotSeeWhatTheParentWritesAfterTheFork) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(16));
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    write_versions(region, 1000);
    std::array<int, 2> written{};
    ASSERT_EQ(::pipe(written.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        char go = 0;
        if (::read(written[0], &go, 1) != 1) ::_exit(9);
        ::_exit(wrong_versions(region, 1000) == 0 ? 0 : 1);
    }
    write_versions(region, 5000);
    evict_all(region);
    region.discard(region.data(), region.page_size());
    ASSERT_EQ(::write(written[1], "x", 1), 1);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    ::close(written[0]);
    ::close(written[1]);
}

TEST_P(Inherit, PagesInEveryStateKeepTheirBytes) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(32));
    const std::size_t page = GetParam().page_size;
    Region region = pager.reserve(8 * page, options());
    const auto at = [&](std::uint64_t index) { return region.data() + index * page; };
    for (std::uint64_t index = 0; index < 6; ++index) write_word(at(index), 100 + index);
    region.advise(at(1), page, Advice::dontneed);  // page 1: swapped
    region.advise(at(2), page, Advice::dontneed);
    static_cast<void>(read_word(at(2)));  // page 2: clean
    region.advise(at(3), page, Advice::dontneed);
    write_word(at(3), 300);       // page 3: dirty, with an older version in its slot
    region.discard(at(4), page);  // page 4: discarded while resident
    region.advise(at(5), page, Advice::dontneed);
    region.discard(at(5), page);          // page 5: discarded while swapped
    static_cast<void>(read_word(at(6)));  // page 6: read only; page 7: never accessed
    const auto check = [&] {
        const std::array<std::uint64_t, 8> expected{100, 101, 102, 300, 0, 0, 0, 0};
        for (std::uint64_t index = 0; index < 8; ++index) {
            if (read_word(at(index)) != expected[index]) return static_cast<int>(index) + 1;
        }
        return 0;
    };
    const ChildEnd end = in_child(check);
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(check(), 0);
}

TEST_P(Inherit, GrandchildReadsWhatItsParentWrote) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(16));
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    write_versions(region, 1000);
    const ChildEnd end = in_child([&] {
        for (std::uint64_t unit = 0; unit < units_of(region); unit += 2) write_version(region, unit, 7);
        const ChildEnd grandchild = in_child([&] {
            for (std::uint64_t unit = 0; unit < units_of(region); ++unit) {
                if (!has_version(region, unit, unit % 2 == 0 ? 7 : 1000 + unit)) return 1;
            }
            write_versions(region, 9000);
            const ChildEnd last = in_child([&] { return wrong_versions(region, 9000) == 0 ? 0 : 1; });
            return last.exited_with(0) ? 0 : 2;
        });
        if (!grandchild.exited_with(0)) return 3;
        return has_version(region, 0, 7) && has_version(region, 1, 1001) ? 0 : 4;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(wrong_versions(region, 1000), 0U);
}

TEST_P(Inherit, ChildKeepsItsMemoryAfterItsParentExits) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config(16));
    std::array<int, 2> parent_gone{};
    std::array<int, 2> verdict{};
    ASSERT_EQ(::pipe(parent_gone.data()), 0);
    ASSERT_EQ(::pipe(verdict.data()), 0);
    const ChildEnd parent = in_child([&] {
        auto pager = std::make_unique<Pager>(config(16));
        auto region = std::make_unique<Region>(pager->reserve(kPages * GetParam().page_size, options()));
        write_versions(*region, 1000);
        if (::fork() == 0) {
            ::alarm(60);
            ::close(STDERR_FILENO);  // in_child() waits until every writer of this pipe has closed it
            ::close(parent_gone[1]);
            char nothing = 0;
            static_cast<void>(::read(parent_gone[0], &nothing, 1));  // returns when the parent's end is closed
            bool right = wrong_versions(*region, 1000) == 0;
            write_versions(*region, 2000);
            right = right && wrong_versions(*region, 2000) == 0;
            static_cast<void>(::write(verdict[1], right ? "y" : "n", 1));
            ::_exit(0);
        }
        return 0;
    });
    EXPECT_TRUE(parent.exited_with(0)) << parent;
    ::close(parent_gone[1]);
    ::close(verdict[1]);
    char right = 0;
    ASSERT_EQ(::read(verdict[0], &right, 1), 1);
    EXPECT_EQ(right, 'y');
    ::close(parent_gone[0]);
    ::close(verdict[0]);
}

TEST_P(Inherit, ManyForksWithChangesInBetweenKeepEveryVersionRight) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(12));
    Region region = pager.reserve(32 * GetParam().page_size, options());
    std::vector<std::uint64_t> expected(units_of(region));
    Random random{seed()};
    const auto check = [&] {
        for (std::uint64_t unit = 0; unit < expected.size(); ++unit) {
            if (expected[unit] == 0 ? read_word(region.data() + unit * kBasePageBytes) != 0
                                    : !has_version(region, unit, expected[unit])) {
                return 1;
            }
        }
        return 0;
    };
    for (std::uint64_t round = 1; round <= 24; ++round) {
        for (int change = 0; change < 12; ++change) {
            const std::uint64_t unit = random.below(expected.size());
            write_version(region, unit, expected[unit] = round * 1000 + unit);
        }
        const ChildEnd end = in_child(check);
        ASSERT_TRUE(end.exited_with(0)) << "round " << round << ": " << end;
        ASSERT_EQ(check(), 0) << "round " << round;
    }
}

/// Each thread increments words in its own pages and then notes each value in ordinary memory, which fork copies. So a
/// word in the child equals its note or is greater by one.
TEST_P(Inherit, ForkDuringFaultsCopiesEveryPageAtOneMoment) {
    constexpr unsigned kThreads = 3;
    constexpr std::uint64_t kPagesEach = 16;
    FAULTLINE_PAGER_OR_SKIP(pager, config(14));
    Region region = pager.reserve(kThreads * kPagesEach * GetParam().page_size, options());
    std::array<std::array<std::atomic<std::uint64_t>, kPagesEach>, kThreads> notes{};
    std::atomic<bool> done{false};
    const auto word = [&](unsigned thread, std::uint64_t page) {
        return region.data() + (page * kThreads + thread) * GetParam().page_size + 64;
    };
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            Random random{seed() + thread};
            while (!done.load()) {
                const std::uint64_t page = random.below(kPagesEach);
                const std::uint64_t next = read_word(word(thread, page)) + 1;
                write_word(word(thread, page), next);
                notes[thread][page].store(next);
            }
        });
    }
    for (int fork = 0; fork < 12; ++fork) {
        const ChildEnd end = in_child([&] {
            for (unsigned thread = 0; thread < kThreads; ++thread) {
                for (std::uint64_t page = 0; page < kPagesEach; ++page) {
                    const std::uint64_t noted = notes[thread][page].load();
                    const std::uint64_t found = read_word(word(thread, page));
                    if (found == noted || found == noted + 1) continue;
                    std::cerr << "thread " << thread << " page " << page << ": " << noted << " became " << found;
                    return 1;
                }
            }
            return 0;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
    done.store(true);
    for (std::thread& thread : threads) thread.join();
    for (unsigned thread = 0; thread < kThreads; ++thread) {
        for (std::uint64_t page = 0; page < kPagesEach; ++page) {
            EXPECT_EQ(read_word(word(thread, page)), notes[thread][page].load());
        }
    }
}

TEST_P(Inherit, PinsAreInheritedAndServeSystemCalls) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(16));
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    write_versions(region, 1000);
    std::byte* const pinned = region.data() + 5 * region.page_size();
    Pin pin = region.pin(pinned, 4096);
    const ChildEnd end = in_child([&] {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) return 9;
        write_versions(region, 2000);  // evicts every page that is not pinned
        if (::write(ends[1], pinned, 16) != 16 || ::read(ends[0], pinned + 16, 16) != 16) return 1;
        if (read_word(pinned) != read_word(pinned + 16)) return 2;
        pin.release();
        region.destroy();
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_GT(region.stats().pinned_bytes, 0U);
    EXPECT_EQ(wrong_versions(region, 1000), 0U);
}

TEST_P(Inherit, ChildUsesThePagerAsItsOwn) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(600));
    if (GetParam().page_size > kBasePageBytes) GTEST_SKIP() << "larger pages take longer and test nothing more";
    Region region = pager.reserve(2000 * GetParam().page_size, options());
    write_versions(region, 1);
    const ChildEnd end = in_child([&] {
        Region another = pager.reserve(1000 * GetParam().page_size, options());
        std::atomic<std::uint64_t> wrong{0};
        run_threads(3, [&](unsigned thread) {
            Random random{thread};
            for (int i = 0; i < 4000; ++i) {
                const std::uint64_t unit = random.below(units_of(another) / 3) * 3 + thread;
                write_version(another, unit, unit + 5);
                if (!has_version(another, unit, unit + 5)) wrong.fetch_add(1);
                const std::uint64_t old = random.below(units_of(region));
                if (!has_version(region, old, 1 + old)) wrong.fetch_add(1);
            }
        });
        pager.set_resident_limit(64 * GetParam().page_size);
        if (pager.stats().frames_used > 64 * GetParam().page_size) return 1;
        another.destroy();
        region.discard(region.data(), region.size() / 2);
        if (read_word(region.data()) != 0) return 2;
        return wrong.load() == 0 ? 0 : 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(wrong_versions(region, 1), 0U);
}

TEST_P(Inherit, PagerWithPolicyRefuseIsNotInherited) {
    FAULTLINE_PAGER_OR_SKIP(pager, config(16));
    Config refusing = config(16);
    refusing.fork = ForkPolicy::refuse;
    Pager other{refusing};
    Region inherited = pager.reserve(8 * GetParam().page_size, options());
    Region refused = other.reserve(8 * GetParam().page_size, options());
    write_versions(inherited, 1);
    write_versions(refused, 1);
    const ChildEnd reads_both = in_child([&] {
        if (wrong_versions(inherited, 1) != 0) return 1;
        return static_cast<int>(read_word(refused.data()));
    });
    EXPECT_TRUE(reads_both.killed_by(SIGSEGV)) << reads_both;
    EXPECT_EQ(wrong_versions(refused, 1), 0U);
}

/// A child without a pager has its memory all the same, but under sigsegv, where its pages would be the parent's.
TEST_P(Inherit, AForkThatCannotBePreparedIsLoggedAndTheChildHasPlainMemory) {
    const std::filesystem::path directory =
        std::filesystem::path{"/var/tmp"} / ("faultline-inherit-" + std::to_string(::getpid()));
    std::filesystem::create_directory(directory);
    std::mutex said_mutex;
    std::string said;
    Config gone = config(16);
    gone.swap_directory = directory;
    gone.log = [&](LogLevel level, std::string_view message) {
        const std::lock_guard lock{said_mutex};
        if (level == LogLevel::error) said += message;
    };
    FAULTLINE_PAGER_OR_SKIP(pager, gone);
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    write_versions(region, 1);
    std::filesystem::remove_all(directory);
    const bool plain = GetParam().delivery != Delivery::sigsegv;
    for (std::uint64_t round = 1; round < 4; ++round) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe(ends.data()), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::signal(SIGSEGV, SIG_DFL);
            char go = 0;
            if (::read(ends[0], &go, 1) != 1) ::_exit(9);
            if (wrong_versions(region, round) != 0) ::_exit(1);
            write_versions(region, 500);
            ::_exit(wrong_versions(region, 500) == 0 ? 0 : 2);
        }
        write_versions(region, round + 1);  // into the slots that the child has read
        evict_all(region);
        ASSERT_EQ(::write(ends[1], "x", 1), 1);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(plain ? status == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) << status;
        EXPECT_EQ(wrong_versions(region, round + 1), 0U);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    EXPECT_NE(said.find(plain ? "goes on without a pager" : "does not inherit"), std::string::npos) << said;
    EXPECT_NE(said.find(directory.string()), std::string::npos) << said;
}

INSTANTIATE_TEST_SUITE_P(Matrix, Inherit, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

// ---- exec and posix_spawn, with either policy

class Exec : public TrapMatrix {};

TEST_P(Exec, ExecClosesEveryDescriptorOfThePager) {
    for (const ForkPolicy policy : {ForkPolicy::refuse, ForkPolicy::inherit}) {
        Config config = config_with(16);
        config.fork = policy;
        FAULTLINE_PAGER_OR_SKIP(pager, config);
        Region region = pager.reserve(32 * GetParam().page_size, options());
        fill_with_units(region);
        const ChildEnd end = in_child([] {
            // Prints the target of each open descriptor.
            ::execl("/bin/sh", "sh", "-c", "for f in /proc/self/fd/*; do readlink $f >&2; done; exit 0", nullptr);
            return 9;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
        for (const char* const ours : {"userfaultfd", "memfd", "/var/tmp", "deleted", "io_uring"}) {
            EXPECT_EQ(end.said.find(ours), std::string::npos) << to_string(policy) << ": " << end.said;
        }
        EXPECT_EQ(wrong_words(region), 0U);
    }
}

TEST_P(Exec, PosixSpawnLeavesTheParentUnchanged) {
    Config config = config_with(16);
    config.fork = ForkPolicy::inherit;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Region region = pager.reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    for (int i = 0; i < 10; ++i) {
        pid_t child = 0;
        std::array<char, 8> program{"true"};
        std::array<char*, 2> arguments{program.data(), nullptr};
        ASSERT_EQ(::posix_spawn(&child, "/bin/true", nullptr, nullptr, arguments.data(), environ), 0);
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
        EXPECT_EQ(wrong_words(region), 0U);
    }
}

TEST_P(Exec, VforkAndExecLeaveTheParentUnchanged) {
    Config config = config_with(16);
    config.fork = ForkPolicy::inherit;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Region region = pager.reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    const pid_t child = ::vfork();
    if (child == 0) {
        ::execl("/bin/true", "true", nullptr);
        ::_exit(9);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(wrong_words(region), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Exec, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
