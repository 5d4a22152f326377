// EventLog: reports errors of the fault path without a lock or an allocation. A fault records a fixed-size event in a
// ring, and the pager's housekeeper thread turns events into messages. Of each kind it prints at most one message per
// second, with the number of those left out: a full disk fails thousands of writes per second. It is not for messages
// of control calls, which use `say` directly.
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

/// What failed, for which address.
struct Event {
    /// `frames_exhausted`: no page could be evicted to make room for the faulting one. `policy_failed`: the replacement
    /// policy made a bad choice; `address` is the frame, and `error` the tag, that it chose.
    enum class Kind : std::uint8_t { read_failed, write_failed, frames_exhausted, map_failed, policy_failed };
    static constexpr std::size_t kKinds = 5;
    Kind kind = Kind::read_failed;
    int error = 0;               // errno
    std::uintptr_t address = 0;  // of the page
};

/// Thread-safe. One per pager.
class EventLog {
public:
    /// Receives each message. Never called from the fault path.
    using Sink = std::function<void(LogLevel, std::string_view)>;

    using Clock = std::function<MessageLimiter::Time()>;

    /// `sink` empty: standard error through spdlog, warnings and errors only. `clock`: replaced by tests.
    explicit EventLog(Sink sink, Clock clock = std::chrono::steady_clock::now);

    /// Position of an event in the order of recording. Wraps around.
    using Ticket = std::uint32_t;

    /// Records an event, or counts it as dropped if the ring of its kind is full. Signal-safe.
    Ticket record(const Event& event) FAULTLINE_SIGNAL_SAFE;

    /// Blocks until another thread has drained the events up to `ticket`, at most for `limit`. Called before a fault
    /// that may end the program is answered with SIGBUS, so that the message appears first. Signal-safe.
    void wait_until_reported(Ticket ticket, std::chrono::nanoseconds limit) const FAULTLINE_SIGNAL_SAFE;

    /// Turns the recorded events into messages. Called by control calls and by the pager's own threads.
    void drain();

    /// Drains, and reports the number of messages left out at once, without waiting for the second to pass.
    void flush();

    /// Returns how long until `drain` reports messages left out; nothing if none were.
    [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_drain();

    /// Holds off other threads' messages around fork, so that the child does not inherit a half-done one.
    void lock() { draining_.lock(); }
    void unlock() noexcept { draining_.unlock(); }

    /// Sends a message to the sink now. Not for the fault path.
    void say(LogLevel level, std::string_view message) const { sink_(level, message); }

private:
    static constexpr std::size_t kEvents = 64;

    /// Events of one kind. `draining_` guards all fields, except that `record` puts into `events` and adds to `dropped`
    /// without it.
    struct Stream {
        Event::Kind kind = Event::Kind::read_failed;
        core::EventRing<Event> events{kEvents};  // one per kind: failed writes must not crowd out a failed access
        std::atomic<std::uint64_t> dropped{0};   // events that found the ring full
        MessageLimiter limiter;
        std::optional<Event> last;  // the newest event whose message was left out
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
    std::atomic<Ticket> told_{0};  // futex: the last ticket whose message is out; written under `draining_`
    std::mutex draining_;          // held while `drain` calls the sink
    std::optional<std::chrono::steady_clock::time_point> transient_told_;  // guarded by `draining_`
};

}  // namespace faultline::pager
