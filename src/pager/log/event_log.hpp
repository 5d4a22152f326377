// EventLog: how the fault path says that something went wrong, without a lock or an allocation: fixed-size events in a
// ring, which a thread of the pager's turns into messages. Of one kind at most one message a second is printed, with
// the number of the others: a full disk fails thousands of writes a second. Events that find the ring full are counted.
#pragma once

#include "core/event_ring.hpp"
#include "core/signal_safe.hpp"
#include "pager/log/message_limiter.hpp"

#include <faultline/types.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

namespace faultline::pager {

struct Event {
    enum class Kind : std::uint8_t { read_failed, write_failed, frames_exhausted, map_failed };
    static constexpr std::size_t kKinds = 4;
    Kind kind = Kind::read_failed;
    int error = 0;
    std::uintptr_t address = 0;
};

class EventLog {
public:
    using Sink = std::function<void(LogLevel, std::string_view)>;

    using Clock = std::function<MessageLimiter::Time()>;

    /// `sink` empty: standard error through spdlog, warnings and errors only.
    explicit EventLog(Sink sink, Clock clock = std::chrono::steady_clock::now);

    using Ticket = std::uint32_t;

    /// Signal-safe.
    Ticket record(const Event& event) FAULTLINE_SIGNAL_SAFE;

    /// Waits until another thread has drained what was recorded up to `ticket`, at most for `limit`: a program that is
    /// about to die of an event must not end before the message is out. Signal-safe.
    void wait_until_told(Ticket ticket, std::chrono::nanoseconds limit) const FAULTLINE_SIGNAL_SAFE;

    /// Turns what was recorded into messages. Control calls and the pager's own threads.
    void drain();

    /// `drain`, and says at once how many messages were left out.
    void flush();

    /// How long until `drain` says how many messages were left out; nothing where none were.
    [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_drain();

    /// Around fork: no other thread is in the middle of a message.
    void lock() { draining_.lock(); }
    void unlock() noexcept { draining_.unlock(); }

    /// Says something now. Not from the fault path.
    void say(LogLevel level, std::string_view message) const { sink_(level, message); }

private:
    static constexpr std::size_t kEvents = 64;

    /// Events of one kind. All but `dropped` and putting events in under `draining_`.
    struct Stream {
        Event::Kind kind = Event::Kind::read_failed;
        core::EventRing<Event> events{kEvents};  // one for each kind: failed writes leave room for a failed access
        std::atomic<std::uint64_t> dropped{0};   // events that found the ring full
        MessageLimiter limiter;
        std::optional<Event> last;  // that was left out
    };

    void take_events(Stream& stream);
    void drain_by(std::uint64_t (MessageLimiter::*take)(MessageLimiter::Time) noexcept);
    void say_left_out(Stream& stream, std::uint64_t count);
    void say(const Event& event, std::uint64_t left_out) const;
    void tell_transient_errors();

    Sink sink_;
    Clock clock_;
    std::array<Stream, Event::kKinds> streams_;
    std::atomic<Ticket> recorded_{0};
    std::atomic<Ticket> told_{0};  // futex: up to which ticket messages are out; written under `draining_`
    std::mutex draining_;
    std::optional<std::chrono::steady_clock::time_point> transient_told_;  // guarded by `draining_`
};

}  // namespace faultline::pager
