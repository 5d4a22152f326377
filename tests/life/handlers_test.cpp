// A pager and other handlers of the same signal: an earlier handler that jumps out of signals passed on to it, and
// later handlers (crash reporters) that forward signals to the pager.

#include "life/life_support.hpp"
#include "traps/bus_errors.hpp"

#include <gmock/gmock.h>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;

class Handlers : public LifeMatrix {};

TEST_P(Handlers, EarlierHandlerMayJumpOutOfForeignFaultsRepeatedly) {
    FAULTLINE_LIVE_OR_SKIP();
    const int signal = signal_of_others();
    const ChildEnd end = live(
        [&](Pager&, Region& region, Verdict& verdict) {
            const ForeignPage foreign{signal};
            for (std::uint64_t i = 0; i < 10'000; ++i) {
                verdict.expect(read_is_caught(foreign.address()), "the access reaches the earlier handler");
                verdict.expect(CaughtSignal::address == foreign.address(), "the handler gets the address");
                verdict.expect(CaughtSignal::code == foreign.code(), "the handler gets the code");
                verdict.expect(unit_is_right(region, i % units_of(region)), "managed memory keeps its bytes");
            }
        },
        [&] {
            struct sigaction action {};
            action.sa_sigaction = &CaughtSignal::jump_out;
            action.sa_flags = SA_SIGINFO;
            ::sigaction(signal, &action, nullptr);
        });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Handlers, LaterHandlerIsReportedOncePerInstallation) {
    const int signal = fault_signal(GetParam().delivery);
    std::mutex mutex;
    std::vector<std::string> warnings;
    Config config = config_with(16);
    config.log = [&](LogLevel level, std::string_view message) {
        const std::lock_guard lock{mutex};
        if (level == LogLevel::warning) warnings.emplace_back(message);
    };
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    const auto warned = [&] {
        const std::lock_guard lock{mutex};
        return warnings.size();
    };
    for (std::size_t time = 1; time <= 2; ++time) {
        {
            const ScopedSignal later{signal == 0 ? SIGBUS : signal, plain_action(SIG_DFL)};
            static_cast<void>(pager.stats());
            static_cast<void>(pager.stats());
            EXPECT_EQ(warned(), signal == 0 ? 0 : time);
        }
        static_cast<void>(pager.stats());  // notices that the pager's handler is installed again
    }
    for (const std::string& warning : warnings) {
        EXPECT_NE(warning.find(signal == SIGBUS ? "SIGBUS" : "SIGSEGV"), std::string::npos) << warning;
    }
}

// ---- a crash reporter that was installed later

struct sigaction before_reporter;
std::atomic<std::uintptr_t> foreign_begin{0};
std::atomic<std::uint64_t> reports{0};
std::atomic<std::uint64_t> forwarded{0};

bool is_foreign(const siginfo_t& info) {
    return reinterpret_cast<std::uintptr_t>(info.si_addr) - foreign_begin.load() < kBasePageBytes;
}

/// Counts the faults in the foreign page, and forwards every signal to the action that was installed before.
void report_and_forward(int signal, siginfo_t* info, void* context) {
    if (is_foreign(*info)) {
        reports.fetch_add(1);
        constexpr char kReport[] = "report\n";
        static_cast<void>(!::write(STDERR_FILENO, kReport, sizeof kReport - 1));
    }
    forwarded.fetch_add(1);
    if ((before_reporter.sa_flags & SA_SIGINFO) != 0) {
        before_reporter.sa_sigaction(signal, info, context);
    } else {
        ::sigaction(signal, &before_reporter, nullptr);  // the repeated access then gets the default
    }
}

/// Jumps out of faults in the foreign page, as the null check of a language runtime does, and forwards all others.
void jump_or_forward(int signal, siginfo_t* info, void* context) {
    if (is_foreign(*info)) CaughtSignal::jump_out(signal, info, context);
    report_and_forward(signal, info, context);
}

void install_reporter(int signal, ScopedSignal::Handler handler, const ForeignPage& foreign) {
    foreign_begin.store(reinterpret_cast<std::uintptr_t>(foreign.address()) & ~(kBasePageBytes - 1));
    struct sigaction action {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);  // docs/signal-safety.md requires it if handlers access managed memory
    ::sigaction(signal, &action, &before_reporter);
}

TEST_P(Handlers, ManagedMemoryWorksBehindALaterHandlerThatForwards) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        const ForeignPage foreign{signal_of_others()};
        install_reporter(signal_of_others(), &jump_or_forward, foreign);
        run_threads(2, [&](unsigned index) {
            Random random{seed() + index};
            for (int i = 0; i < 2000; ++i) {
                const std::uint64_t unit = 2 * random.below(units_of(region) / 2) + index;  // each unit has one writer
                if (!unit_is_right(region, unit)) ::_exit(2);
                write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
            }
        });
        for (std::uint64_t i = 0; i < 100; ++i) {
            verdict.expect(read_is_caught(foreign.address()), "a foreign access reaches the reporter");
            verdict.expect(CaughtSignal::address == foreign.address(), "the reporter gets the address");
            verdict.expect(unit_is_right(region, i % units_of(region)), "managed memory keeps its bytes");
        }
        verdict.expect(signal_of_faults() == 0 || forwarded.load() > 0, "the reporter forwards the pager's faults");
        verdict.expect(reports.load() == 0, "no fault of the pager looks foreign");
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

const Region* ticks_region = nullptr;
std::atomic<std::uint64_t> reading_ticks{0};
std::atomic<std::uint64_t> wrong_readings{0};

void read_on_tick(int) {
    Random random{reading_ticks.fetch_add(1)};
    if (!unit_is_right(*ticks_region, random.below(units_of(*ticks_region)))) wrong_readings.fetch_add(1);
}

TEST_P(Handlers, HandlersMayFaultBehindALaterHandlerThatBlocksAllSignals) {
    if (!kHandlersMayFault) GTEST_SKIP() << "ThreadSanitizer blocks all signals in handlers";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        const ForeignPage foreign{signal_of_others()};
        install_reporter(signal_of_others(), &report_and_forward, foreign);
        ticks_region = &region;
        const ScopedSignal ticking{SIGRTMIN, plain_action(&read_on_tick)};
        const ThreadTimer timer{SIGRTMIN, 500us};
        Random random{seed()};
        while (reading_ticks.load() < 400) {
            verdict.expect(unit_is_right(region, random.below(units_of(region))), "the thread reads what was written");
        }
        verdict.expect(wrong_readings.load() == 0, "the handler reads what was written");
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Handlers, LaterHandlerGetsAForeignFaultBeforeItKills) {
    FAULTLINE_LIVE_OR_SKIP();
    const int signal = signal_of_others();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict&) {
        const ForeignPage foreign{signal};
        install_reporter(signal, &report_and_forward, foreign);
        if (wrong_words(region) != 0) ::_exit(2);
        static_cast<void>(read_word(foreign.address()));
    });
    EXPECT_TRUE(end.killed_by(signal)) << end;
    EXPECT_THAT(end.said, testing::HasSubstr("report\n"));  // the pager's warning may come before it
}

// ---- the pager's signal blocked

TEST_P(Handlers, FaultWithThePagersSignalBlockedKillsAndReadsNothing) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        evict_all(region);
        sigset_t every;
        sigfillset(&every);
        ::pthread_sigmask(SIG_SETMASK, &every, nullptr);
        const bool right = unit_is_right(region, 0);
        if (signal_of_faults() != 0) std::cerr << "read" << std::endl;
        verdict.expect(right, "handler threads need no signal");
    });
    if (signal_of_faults() == 0) {
        EXPECT_TRUE(end.exited_with(0)) << end;
    } else {
        EXPECT_TRUE(end.killed_by(signal_of_faults())) << end;
        EXPECT_EQ(end.said, "");
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Handlers, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
