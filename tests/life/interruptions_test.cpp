// Signals unrelated to memory that arrive in code that faults: their handlers jump out of it, fault themselves, or run
// on the program's own alternate stack.

#include "life/life_support.hpp"
#include "sys/file_descriptor.hpp"

#include <fcntl.h>
#include <setjmp.h>
#include <unistd.h>

#include <memory>
#include <vector>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;

class Interruptions : public LifeMatrix {};

// ---- jumping out of faulting code

sigjmp_buf before_interruption;
volatile sig_atomic_t may_jump = 0;
volatile std::uint64_t jumps = 0;

void jump_away(int) {
    if (may_jump == 0) return;
    may_jump = 0;
    siglongjmp(before_interruption, 1);
}

/// The two values that a page's word may hold, kept in ordinary memory. They differ while a write is in progress, since
/// a jump may come before or after its store.
struct Expectation {
    volatile std::uint64_t before = 0;
    volatile std::uint64_t after = 0;
};

/// Writes and reads until the handler has jumped out `wanted` times. Returns the number of wrong words. No object in it
/// needs a destructor.
[[gnu::noinline]] std::size_t write_until_jumps(std::byte* data, Expectation* expected, std::uint64_t pages,
                                                std::size_t page_bytes, std::uint64_t wanted, std::uint64_t seed) {
    static volatile std::uint64_t round;
    static volatile std::size_t wrong;
    round = 0;
    wrong = 0;
    jumps = 0;
    if (sigsetjmp(before_interruption, 1) != 0) jumps = jumps + 1;
    while (jumps < wanted) {
        round = round + 1;
        may_jump = 1;
        Random random{seed + round};
        const std::uint64_t page = random.below(pages);
        std::byte* const at = data + page * page_bytes + 8;
        const std::uint64_t found = read_word(at);
        if (found != expected[page].before && found != expected[page].after) wrong = wrong + 1;
        expected[page].before = found;
        expected[page].after = round;
        write_word(at, expected[page].after);
        expected[page].before = expected[page].after;
        may_jump = 0;
    }
    return wrong;
}

TEST_P(Interruptions, HandlerMayJumpOutOfFaultingCode) {
    if (kSanitized) GTEST_SKIP() << "sanitizers defer signals";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager& pager, Region&, Verdict& verdict) {
        Region region = pager.reserve(kLifePages * GetParam().page_size, options());
        const std::vector<Expectation> storage(pages_of(region));
        auto* const expected = const_cast<Expectation*>(storage.data());
        const ScopedSignal jumping{SIGUSR1, plain_action(&jump_away)};
        std::size_t wrong = 0;
        {
            const ThreadTimer timer{SIGUSR1, 300us};
            wrong = write_until_jumps(region.data(), expected, pages_of(region), region.page_size(), 1000, seed());
            may_jump = 0;
        }
        verdict.expect(wrong == 0, "every word read was written before");
        for (std::uint64_t page = 0; page < pages_of(region); ++page) {
            const std::uint64_t found = read_word(region.data() + page * region.page_size() + 8);
            verdict.expect(found == expected[page].before || found == expected[page].after,
                           "each page has its last word");
        }
        evict_all(region);  // would hang on a page that a jump had left claimed
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- a handler that writes

std::atomic<std::byte*> ticks_data{nullptr};
std::atomic<std::uint64_t> ticks{0};
std::size_t ticks_page_size = 0;
constexpr std::uint64_t kTickPages = 16;
std::array<std::uint64_t, kTickPages> ticks_on_page;  // used by the handler's thread only
std::atomic<std::uint64_t> wrong_ticks{0};

/// Increments a counter in the next managed page and its copy in ordinary memory.
void count_tick(int) {
    const int saved_errno = errno;
    const std::uint64_t page = ticks.fetch_add(1) % kTickPages;
    std::byte* const at = ticks_data.load() + page * ticks_page_size;
    if (read_word(at) != ticks_on_page[page]) wrong_ticks.fetch_add(1);
    write_word(at, ++ticks_on_page[page]);
    errno = saved_errno;
}

TEST_P(Interruptions, TimerHandlerMayWriteAbsentPagesWhileItsThreadFaults) {
    if (!kHandlersMayFault) GTEST_SKIP() << "ThreadSanitizer blocks all signals in handlers";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager& pager, Region& region, Verdict& verdict) {
        Region counted = pager.reserve(kTickPages * GetParam().page_size, options());
        ticks_data.store(counted.data());
        ticks_page_size = counted.page_size();
        const ScopedSignal counting{SIGRTMIN, plain_action(&count_tick)};
        {
            const ThreadTimer timer{SIGRTMIN, 1ms};
            Random random{seed()};
            while (ticks.load() < 300) {
                const std::uint64_t unit = random.below(units_of(region));
                verdict.expect(unit_is_right(region, unit), "the interrupted code reads what it wrote");
                write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
                if (unit == 0) counted.advise(counted.data(), counted.size(), Advice::dontneed);
            }
        }
        verdict.expect(wrong_ticks.load() == 0, "the handler reads what it wrote");
        for (std::uint64_t page = 0; page < kTickPages; ++page) {
            verdict.expect(read_word(counted.data() + page * counted.page_size()) == ticks_on_page[page],
                           "no tick is lost");
        }
        verdict.expect(counted.stats().evictions > 0, "pages of the handler were evicted");
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- stacks

/// Gives the thread an alternate stack of `bytes` in the program's memory, or disables it (0), while this object lives.
class SignalStack {
public:
    explicit SignalStack(std::size_t bytes) : memory_{bytes == 0 ? nullptr : std::make_unique<std::byte[]>(bytes)} {
        stack_t next{};
        next.ss_sp = memory_.get();
        next.ss_size = bytes;
        next.ss_flags = bytes == 0 ? SS_DISABLE : 0;
        if (::sigaltstack(&next, &previous_) != 0)
            throw std::system_error(errno, std::generic_category(), "sigaltstack");
    }
    ~SignalStack() { ::sigaltstack(&previous_, nullptr); }
    SignalStack(const SignalStack&) = delete;
    SignalStack& operator=(const SignalStack&) = delete;
    [[nodiscard]] const std::byte* begin() const noexcept { return memory_.get(); }

private:
    std::unique_ptr<std::byte[]> memory_;
    stack_t previous_{};
};

constexpr std::size_t kStackBytes = std::size_t{128} << 10;

const Region* read_by_handler = nullptr;
std::atomic<std::size_t> wrong_in_handler{0};
std::atomic<const std::byte*> handlers_frame{nullptr};

void read_all(int) {
    const std::byte here{};
    handlers_frame.store(&here);
    wrong_in_handler += wrong_words(*read_by_handler);
}

/// Reads the whole region ten times in the thread, and in a handler that runs on the alternate stack if there is one.
void read_in_both(const Region& region, Verdict& verdict) {
    read_by_handler = &region;
    struct sigaction action = plain_action(&read_all);
    action.sa_flags = SA_ONSTACK;
    const ScopedSignal reading{SIGUSR2, action};
    for (int i = 0; i < 10; ++i) {
        verdict.expect(wrong_words(region) == 0, "the thread reads what was written");
        ::pthread_kill(::pthread_self(), SIGUSR2);
    }
    verdict.expect(wrong_in_handler.load() == 0, "the handler reads what was written");
}

TEST_P(Interruptions, FaultsWorkOnTheProgramsOwnAlternateStack) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer sets its own alternate stack";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        std::thread{[&] {
            const SignalStack own{kStackBytes};
            read_in_both(region, verdict);
            const std::byte* const frame = handlers_frame.load();
            verdict.expect(frame >= own.begin() && frame < own.begin() + kStackBytes,
                           "the handler runs on the program's alternate stack");
            stack_t now{};
            ::sigaltstack(nullptr, &now);
            verdict.expect(now.ss_sp == own.begin(), "the alternate stack is still the program's");
        }}.join();
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Interruptions, FaultsWorkWithoutAnAlternateStack) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer sets its own alternate stack";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        std::thread{[&] {
            const SignalStack none{0};
            read_in_both(region, verdict);
            stack_t now{};
            ::sigaltstack(nullptr, &now);
            verdict.expect((now.ss_flags & SS_DISABLE) != 0, "the thread still has no alternate stack");
        }}.join();
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- calls of the program that must not be cut short

/// Counts the reads of /dev/zero that are not short. The kernel ends such a read early when the thread has any work
/// pending, even work of the kernel itself.
std::size_t whole_reads(const sys::FileDescriptor& zeros, std::span<std::byte> into, std::size_t reads) {
    std::size_t whole = 0;
    for (std::size_t i = 0; i < reads; ++i) {
        if (::read(zeros.get(), into.data(), into.size()) == static_cast<ssize_t>(into.size())) ++whole;
    }
    return whole;
}

TEST_P(Interruptions, EndOfAPagerCutsNoCallShort) {
    constexpr std::size_t kReads = 20;
    const sys::FileDescriptor zeros{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    std::vector<std::byte> buffer(std::size_t{256} << 10);
    for (int life = 0; life < 60; ++life) {
        {
            FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
            Region region = pager.reserve(256 * kBasePageBytes);
            fill_with_units(region);
        }
        ASSERT_EQ(whole_reads(zeros, buffer, kReads), kReads) << "life " << life;
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Interruptions, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
