// UffdThreadSource when its handlers fail. A handler that is gone, stuck or without its userfaultfd ends the process
// with a message, within a stated time. No thread waits forever, and none reads zeros. Skipped where the kernel does
// not deliver its own faults to this process.
#include "mmu/uffd_thread_source.hpp"

#include "core/units.hpp"
#include "mmu/uffd_mappers.hpp"
#include "sys/mapping.hpp"
#include "traps/trap_support.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::size_t kServedPages = 4096;

// The objects that the resolver works with: a resolver is a plain function. Each child has its own.
sys::Userfaultfd* served_uffd = nullptr;
std::atomic<void (*)(std::uintptr_t address)> before_serving{nullptr};  // the failure that the test causes
alignas(core::kUnitBytes) std::array<std::uint64_t, core::kUnitBytes / sizeof(std::uint64_t)> page_source;

constexpr std::uint64_t kContents = 0xfa17'fa17'fa17'fa17U;

core::FaultOutcome serve_contents(const core::PageFault& fault) noexcept {
    if (auto* const misfortune = before_serving.load()) misfortune(fault.address);
    auto* const page = reinterpret_cast<void*>(core::align_down<std::uintptr_t>(fault.address, core::kUnitBytes));
    const int error = served_uffd->copy(page, page_source.data(), core::kUnitBytes, false);
    if (error == EEXIST) return core::FaultOutcome::already_resolved;
    return error == 0 ? core::FaultOutcome::resolved : core::FaultOutcome::failed;
}

/// A source and the region that it serves: all pages read as `kContents`.
struct Served {
    explicit Served(unsigned threads, std::chrono::nanoseconds patience = mmu::UffdThreadSource::kHandlerPatience)
        : uffd{sys::Userfaultfd::Notify::by_message},
          mappers{uffd, Eviction::automatic, views},
          pages{sys::Mapping::reserve(kServedPages * core::kUnitBytes, core::kUnitBytes, false, "pages of the test")} {
        page_source.fill(kContents);
        served_uffd = &uffd;
        uffd.watch(pages.data(), pages.size(), false);
        source.emplace(uffd, mappers, threads, &serve_contents, patience);
    }
    [[nodiscard]] std::uint64_t read(std::size_t page) const {
        return read_word(pages.data() + page * core::kUnitBytes);
    }

    sys::Userfaultfd uffd;
    sys::Quiescence readers;
    mmu::ViewRegistry views{readers};
    mmu::UffdMappers mappers;
    sys::Mapping pages;
    std::optional<mmu::UffdThreadSource> source;
};

class UffdThreadSource : public TrapTest {
protected:
    void SetUp() override {
        try {
            const sys::Userfaultfd permitted{sys::Userfaultfd::Notify::by_message};
        } catch (const std::system_error& error) {
            if (may_be_skipped(error, Delivery::uffd_threads)) GTEST_SKIP() << error.what();
            throw;
        }
        before_serving = nullptr;
    }
};

/// Expects that the child ended itself with these words. Exit code 1 means that it read zeros, 2 that it did not end.
void expect_fatal(const ChildEnd& end, const std::string& words) {
    EXPECT_TRUE(end.killed_by(SIGABRT)) << end;
    EXPECT_THAT(end.said, HasSubstr(words));
}

/// Runs in a child after the failure. Reads pages, which must be right or end the process, then waits for the end.
int read_on(const Served& served) {
    for (std::size_t page = 0; page < kServedPages; ++page) {
        if (served.read(page) != kContents) ::_exit(1);  // before another thread ends the process
    }
    const auto limit = std::chrono::steady_clock::now() + 10s;  // the watchdog has two seconds
    while (std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    return 2;
}

// ---- Without failure

TEST_F(UffdThreadSource, ServesFaultsOfManyThreads) {
    const Served served{2};
    std::atomic<std::size_t> wrong{0};
    run_threads(4, [&](unsigned) {
        for (std::size_t page = 0; page < kServedPages; ++page) wrong += served.read(page) != kContents ? 1 : 0;
    });
    EXPECT_EQ(wrong.load(), 0U);
}

TEST_F(UffdThreadSource, EndsAtOnce) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 40; ++i) {
        const Served served{2};
        ASSERT_EQ(served.read(0), kContents);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);  // half of what 40 waits for the watchdog would take
}

TEST_F(UffdThreadSource, FaultAfterFaultIsNoStuckHandler) {
    const ChildEnd end = in_child([] {
        Served served{1, 500ms};
        const auto limit = std::chrono::steady_clock::now() + 1200ms;
        std::size_t page = 0;
        while (std::chrono::steady_clock::now() < limit) {
            if (served.read(page) != kContents) return 1;
            ::madvise(served.pages.data() + page * core::kUnitBytes, core::kUnitBytes, MADV_DONTNEED);
            page = (page + 1) % kServedPages;
        }
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- A handler that has ended

std::array<std::atomic<pthread_t>, 2> handlers_seen;

TEST_F(UffdThreadSource, CancelledHandlersGoOn) {
    const ChildEnd end = in_child([] {
        before_serving = [](std::uintptr_t) {
            for (auto& seen : handlers_seen) {
                pthread_t nobody = 0;
                if (seen.load() == ::pthread_self() || seen.compare_exchange_strong(nobody, ::pthread_self())) return;
            }
        };
        const Served served{2};
        for (std::size_t page = 0; page < kServedPages / 2; ++page) {
            if (served.read(page) != kContents) return 1;
        }
        for (auto& seen : handlers_seen) {
            if (seen.load() != 0) ::pthread_cancel(seen.load());
        }
        for (std::size_t page = kServedPages / 2; page < kServedPages; ++page) {
            if (served.read(page) != kContents) return 1;
        }
        return handlers_seen[0].load() != 0 ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_F(UffdThreadSource, HandlerThatTheKernelEndsIsNoticed) {
    for (const unsigned threads : {1U, 2U}) {
        const ChildEnd end = in_child([threads] {
            before_serving = [](std::uintptr_t) {
                before_serving = nullptr;
                ::syscall(SYS_exit, 0);  // as a seccomp filter may
            };
            return read_on(Served{threads});
        });
        expect_fatal(end, "a handler thread has ended");
    }
}

TEST_F(UffdThreadSource, HandlerThatEndsItselfIsNoticedAtOnce) {
    const ChildEnd end = in_child([] {
        before_serving = [](std::uintptr_t) { ::pthread_exit(nullptr); };
        return read_on(Served{2});
    });
    EXPECT_TRUE(end.killed_by(SIGABRT)) << end;  // from the C++ run time: no exception leaves a handler
    EXPECT_NE(end.said, "");
}

// ---- A handler that is stuck

TEST_F(UffdThreadSource, StuckHandlerIsGivenUpByAddress) {
    const ChildEnd end = in_child([] {
        before_serving = [](std::uintptr_t) {
            for (;;) ::pause();
        };
        const Served served{2, 200ms};
        std::cerr << "reading " << served.pages.data() + 5 * core::kUnitBytes + 8 << "\n" << std::flush;
        static_cast<void>(read_word(served.pages.data() + 5 * core::kUnitBytes + 8));
        return 1;
    });
    const std::string address = end.said.substr(0, end.said.find('\n')).substr(std::string{"reading "}.size());
    expect_fatal(end, "served the fault at " + address + " for 0.");
}

TEST_F(UffdThreadSource, StuckHandlerIsNoticedWhileTheSourceEnds) {
    const ChildEnd end = in_child([] {
        static std::atomic<bool> stuck{false};
        before_serving = [](std::uintptr_t) {
            stuck.store(true);
            for (;;) ::pause();
        };
        const Served served{1, 200ms};
        std::thread{[&] { static_cast<void>(served.read(0)); }}.detach();
        while (!stuck.load()) std::this_thread::yield();
        return 1;
    });
    expect_fatal(end, "a handler thread has served the fault at ");
}

std::array<int, 2> to_stopper{};
std::array<int, 2> from_stopper{};

/// Stops the parent for longer than its watchdog's patience, then continues it.
[[noreturn]] void stop_parent() {
    char word = 0;
    const bool asked = ::read(to_stopper[0], &word, 1) == 1;
    ::kill(::getppid(), SIGSTOP);
    timespec time{3, 0};  // the test is about this time: it must not count
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
    ::kill(::getppid(), SIGCONT);
    const bool told = ::write(from_stopper[1], &word, 1) == 1;
    ::_exit(asked && told ? 0 : 1);
}

TEST_F(UffdThreadSource, TimeInWhichTheProcessIsStoppedDoesNotCount) {
    const ChildEnd end = in_child([] {
        if (::pipe(to_stopper.data()) != 0 || ::pipe(from_stopper.data()) != 0) return 3;
        if (::fork() == 0) stop_parent();
        before_serving = [](std::uintptr_t) {
            before_serving = nullptr;
            char word = 'x';
            if (::write(to_stopper[1], &word, 1) != 1 || ::read(from_stopper[0], &word, 1) != 1) ::_exit(3);
        };
        const Served served{1, 2s};
        return served.read(0) == kContents ? 0 : 1;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- A userfaultfd that the program closes or replaces

struct Loss {
    const char* name;
    void (*lose)(int fd);
};
void PrintTo(const Loss& loss, std::ostream* out) { *out << loss.name; }

void put_in_place(int fd, int other) {
    if (other < 0 || ::dup2(other, fd) != fd) ::_exit(3);
}

class LostUserfaultfd : public UffdThreadSource, public testing::WithParamInterface<Loss> {};

TEST_P(LostUserfaultfd, EndsTheProcessAtTheNextFault) {
    for (const unsigned threads : {1U, 1U, 1U, 2U, 4U}) {  // a lone handler is the only other user of the file
        const ChildEnd end = in_child([threads] {
            const Served served{threads};
            if (served.read(0) != kContents) return 1;
            GetParam().lose(served.uffd.fd());
            return read_on(served);
        });
        expect_fatal(end, "has the program ");
    }
}

TEST_P(LostUserfaultfd, EndsTheProcessWithoutAFault) {
    const ChildEnd end = in_child([] {
        const Served served{2};
        GetParam().lose(served.uffd.fd());
        for (;;) ::pause();
        return 2;
    });
    expect_fatal(end, "has the program ");
}

/// All handlers are busy when the userfaultfd goes, and none has the file in use.
TEST_P(LostUserfaultfd, WhileItsHandlersAreBusyGivesNoZeros) {
    const ChildEnd end = in_child([] {
        static std::atomic<int> lost_fd{-1};
        const Served served{1};
        lost_fd.store(served.uffd.fd());
        before_serving = [](std::uintptr_t) {
            const int fd = lost_fd.exchange(-1);
            if (fd >= 0) GetParam().lose(fd);
        };
        return read_on(served);
    });
    expect_fatal(end, "has the program ");
}

INSTANTIATE_TEST_SUITE_P(
    Ways, LostUserfaultfd,
    testing::Values(Loss{"close", [](int fd) { ::close(fd); }},
                    Loss{"close_range", [](int) { ::syscall(SYS_close_range, 3, ~0U, 0); }},
                    Loss{"dup2_null", [](int fd) { put_in_place(fd, ::open("/dev/null", O_RDWR)); }},
                    Loss{"dup2_zero", [](int fd) { put_in_place(fd, ::open("/dev/zero", O_RDWR)); }},
                    Loss{"dup2_pipe",
                         [](int fd) {
                             std::array<int, 2> ends{};
                             put_in_place(fd, ::pipe(ends.data()) == 0 ? ends[0] : -1);  // no test writes to the pipe
                         }}),
    [](const testing::TestParamInfo<Loss>& loss) { return std::string{loss.param.name}; });

}  // namespace
}  // namespace faultline::test
