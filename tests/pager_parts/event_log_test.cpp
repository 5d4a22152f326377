// EventLog: every event becomes a message or is counted, while many threads record and drain.
#include "pager/log/event_log.hpp"

#include "pager_parts/threads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using pager::Event;
using pager::EventLog;
using pager::MessageLimiter;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A sink that keeps its messages. EventLog calls it from one thread at a time.
class Messages {
public:
    EventLog::Sink sink() {
        return [this](LogLevel level, std::string_view text) { all.emplace_back(level, std::string{text}); };
    }
    std::vector<std::pair<LogLevel, std::string>> all;
};

/// A clock on which a second passes between any two messages of one kind.
EventLog::Clock fast_clock() {
    return [now = std::make_shared<std::atomic<std::int64_t>>(0)] {
        return MessageLimiter::Time{} + MessageLimiter::kPause * now->fetch_add(1);
    };
}

/// A clock that moves only when the test moves it.
class StillClock {
public:
    EventLog::Clock clock() {
        return [this] { return now_; };
    }
    void pass(std::chrono::nanoseconds time) { now_ += time; }

private:
    MessageLimiter::Time now_{};
};

/// Returns the address in a message; 0 for a message about events that found the ring full.
std::uintptr_t address_in(const std::string& message) {
    const std::size_t at = message.find("0x");
    return at == std::string::npos ? 0 : std::strtoull(message.c_str() + at, nullptr, 16);
}

struct Tally {
    std::vector<std::uintptr_t> addresses;
    std::uint64_t not_kept = 0;
};

Tally tally(const Messages& messages) {
    Tally tally;
    for (const auto& [level, text] : messages.all) {
        if (const std::uintptr_t address = address_in(text)) {
            tally.addresses.push_back(address);
        } else {
            tally.not_kept += std::strtoull(text.c_str() + text.rfind(": ") + 2, nullptr, 10);
        }
    }
    return tally;
}

TEST(EventLog, SaysWhatHappenedWhereAndWhy) {
    Messages messages;
    EventLog log{messages.sink()};
    log.record({Event::Kind::read_failed, EIO, 0x7000});
    log.record({Event::Kind::write_failed, ENOSPC, 0x8000});
    log.record({Event::Kind::frames_exhausted, ENOSPC, 0x9000});
    log.record({Event::Kind::map_failed, ENOMEM, 0xa000});
    EXPECT_TRUE(messages.all.empty()) << "nothing is said before somebody drains";
    log.drain();
    ASSERT_EQ(messages.all.size(), 4U);
    EXPECT_THAT(messages.all[0].second,
                AllOf(HasSubstr("0x7000"), HasSubstr("Input/output error"), HasSubstr("SIGBUS")));
    EXPECT_THAT(messages.all[1].second,
                AllOf(HasSubstr("0x8000"), HasSubstr("No space left"), HasSubstr("free space")));
    EXPECT_THAT(messages.all[2].second, AllOf(HasSubstr("0x9000"), HasSubstr("SIGBUS")));
    EXPECT_THAT(messages.all[3].second, AllOf(HasSubstr("0xa000"), HasSubstr("Cannot allocate memory")));
}

TEST(EventLog, WarnsOfWhatIsNotLostYet) {
    Messages messages;
    EventLog log{messages.sink(), fast_clock()};
    log.record({Event::Kind::write_failed, EIO, 0x1000});
    log.record({Event::Kind::read_failed, EIO, 0x1000});
    log.drain();
    ASSERT_EQ(messages.all.size(), 2U);
    EXPECT_EQ(messages.all[1].first, LogLevel::warning);
    EXPECT_EQ(messages.all[0].first, LogLevel::error);
}

TEST(EventLog, SaysEachEventOfAKindOnceAndInOrder) {
    Messages messages;
    EventLog log{messages.sink(), fast_clock()};
    constexpr std::uintptr_t kEvents = 1000;
    for (std::uintptr_t event = 1; event <= kEvents; ++event) {
        log.record({Event::Kind::read_failed, EIO, event});
        if (event % 7 == 0) log.drain();
    }
    log.drain();
    log.drain();
    const Tally all = tally(messages);
    ASSERT_EQ(all.addresses.size(), kEvents);
    for (std::uintptr_t event = 1; event <= kEvents; ++event) EXPECT_EQ(all.addresses[event - 1], event);
    EXPECT_EQ(all.not_kept, 0U);
}

TEST(EventLog, CountsWhatItCannotKeep) {
    constexpr std::uintptr_t kEvents = 10'000;
    Messages messages;
    EventLog log{messages.sink(), fast_clock()};
    for (std::uintptr_t event = 1; event <= kEvents; ++event) log.record({Event::Kind::read_failed, EIO, event});
    log.drain();
    const Tally all = tally(messages);
    EXPECT_GT(all.not_kept, 0U);
    EXPECT_EQ(all.addresses.size() + all.not_kept, kEvents);
    for (std::size_t i = 0; i < all.addresses.size(); ++i) EXPECT_EQ(all.addresses[i], i + 1) << "the first are kept";
}

TEST(EventLog, HasRoomAgainOnceDrained) {
    Messages messages;
    EventLog log{messages.sink(), fast_clock()};
    for (int round = 0; round < 10; ++round) {
        for (std::uintptr_t event = 1; event <= 1000; ++event) log.record({Event::Kind::read_failed, EIO, event});
        log.drain();
        messages.all.clear();
        log.record({Event::Kind::read_failed, EIO, 0x42});
        log.drain();
        ASSERT_EQ(tally(messages).addresses, std::vector<std::uintptr_t>{0x42});
        ASSERT_EQ(tally(messages).not_kept, 0U);
    }
}

TEST(EventLog, LosesNothingBetweenManyRecordersAndDrainers) {
    constexpr unsigned kRecorders = 6;
    constexpr std::uintptr_t kEvents = 5000;
    Messages messages;
    EventLog log{messages.sink(), fast_clock()};
    std::atomic<unsigned> recording{kRecorders};
    run_threads(kRecorders + 2, [&](unsigned thread) {
        if (thread >= kRecorders) {
            while (recording.load() > 0) log.drain();
            return;
        }
        for (std::uintptr_t event = 1; event <= kEvents; ++event) {
            log.record({Event::Kind::read_failed, EIO, std::uintptr_t{thread + 1} << 32 | event});
        }
        --recording;
    });
    log.drain();
    const Tally all = tally(messages);
    EXPECT_EQ(all.addresses.size() + all.not_kept, kRecorders * kEvents);
    std::vector<std::uintptr_t> last(kRecorders + 1, 0);
    for (std::uintptr_t address : all.addresses) {
        const std::uintptr_t recorder = address >> 32;
        ASSERT_LE(recorder, kRecorders);
        ASSERT_GT(address & 0xffff'ffffU, last[recorder]) << "twice, or out of its recorder's order";
        last[recorder] = address & 0xffff'ffffU;
    }
}

TEST(EventLog, SaysOfOneKindOneMessageASecondWithTheNumberOfTheOthers) {
    constexpr std::uint64_t kPerTenth = 1000;
    Messages messages;
    StillClock still;
    EventLog log{messages.sink(), still.clock()};
    for (int tenth = 0; tenth < 30; ++tenth) {
        for (std::uint64_t i = 0; i < kPerTenth; ++i) log.record({Event::Kind::write_failed, ENOSPC, 0x1000 + i});
        log.drain();
        still.pass(std::chrono::milliseconds{100});
    }
    log.flush();
    EXPECT_EQ(messages.all.size(), 4U) << "at once, after one second, after two, at the end";
    std::uint64_t told = 0;
    for (const auto& [level, text] : messages.all) {
        const std::size_t more = text.find("(and ");
        told += 1 + (more == std::string::npos ? 0 : std::strtoull(text.c_str() + more + 5, nullptr, 10));
    }
    EXPECT_EQ(told, 30 * kPerTenth);
}

TEST(EventLog, HoldsNoKindBackForAnother) {
    Messages messages;
    StillClock still;
    EventLog log{messages.sink(), still.clock()};
    for (int i = 0; i < 10; ++i) log.record({Event::Kind::write_failed, ENOSPC, 0x1000});
    log.record({Event::Kind::read_failed, EIO, 0x2000});
    log.drain();
    ASSERT_EQ(messages.all.size(), 2U);
    EXPECT_THAT(messages.all[0].second, HasSubstr("0x2000"));
}

TEST(EventLog, KeepsRoomForAFailedAccessBesideManyFailedWrites) {
    Messages messages;
    EventLog log{messages.sink()};
    for (int i = 0; i < 10'000; ++i) log.record({Event::Kind::write_failed, ENOSPC, 0x1000});
    log.record({Event::Kind::frames_exhausted, ENOSPC, 0x2000});
    log.drain();
    EXPECT_THAT(messages.all.back().second, HasSubstr("no frame for the page at 0x2000"));
}

TEST(EventLog, TellsAWaiterThatItsMessageIsOut) {
    Messages messages;
    EventLog log{messages.sink()};
    std::atomic<bool> waiting{false};
    std::size_t out = 0;
    std::thread waiter{[&] {
        const EventLog::Ticket ticket = log.record({Event::Kind::read_failed, EIO, 0x1000});
        waiting = true;
        log.wait_until_reported(ticket, std::chrono::hours{1});
        out = messages.all.size();
    }};
    while (!waiting) std::this_thread::yield();
    log.drain();
    waiter.join();
    EXPECT_EQ(out, 1U);
}

TEST(EventLog, SaysWhenItHasToBeDrainedNext) {
    Messages messages;
    StillClock still;
    EventLog log{messages.sink(), still.clock()};
    EXPECT_EQ(log.time_to_drain(), std::nullopt);
    for (int i = 0; i < 2; ++i) log.record({Event::Kind::read_failed, EIO, 0x1000});
    log.drain();
    still.pass(std::chrono::milliseconds{250});
    EXPECT_EQ(log.time_to_drain(), std::chrono::milliseconds{750});
    still.pass(std::chrono::milliseconds{750});
    log.drain();
    EXPECT_EQ(messages.all.size(), 2U);
    EXPECT_EQ(log.time_to_drain(), std::nullopt);
}

TEST(EventLog, SaysWhatToDoAboutASwapFileThatMayNotGrow) {
    Messages messages;
    EventLog log{messages.sink()};
    log.record({Event::Kind::write_failed, EFBIG, 0x1000});
    log.record({Event::Kind::frames_exhausted, EFBIG, 0x1000});
    log.drain();
    ASSERT_EQ(messages.all.size(), 2U);
    for (const auto& [level, text] : messages.all) EXPECT_THAT(text, HasSubstr("ulimit -f"));
}

TEST(EventLog, SaysAtOnceWhatIsSaid) {
    Messages messages;
    const EventLog log{messages.sink()};
    log.say(LogLevel::info, "chosen: uffd_signal");
    ASSERT_EQ(messages.all.size(), 1U);
    EXPECT_EQ(messages.all[0], std::make_pair(LogLevel::info, std::string{"chosen: uffd_signal"}));
}

[[noreturn]] void say_without_a_sink() {
    const EventLog log{{}};
    log.say(LogLevel::info, "not worth a line");
    log.say(LogLevel::warning, "worth a line");
    std::_Exit(0);
}

TEST(EventLog, WithoutASinkWarnsOnStandardError) {
    EXPECT_EXIT(say_without_a_sink(), testing::ExitedWithCode(0),
                AllOf(HasSubstr("] worth a line"), Not(HasSubstr("not worth a line"))));
}

}  // namespace
}  // namespace faultline::test
