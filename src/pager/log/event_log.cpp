#include "pager/log/event_log.hpp"

#include "pager/log/standard_error_log.hpp"
#include "sys/clock.hpp"
#include "sys/futex.hpp"
#include "sys/transient.hpp"

#include <faultline/replacement_policy.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>

namespace faultline::pager {
namespace {

std::string hexadecimal(std::uintptr_t address) {
    std::array<char, 2 * sizeof address> digits{};
    const std::to_chars_result end = std::to_chars(digits.data(), digits.data() + digits.size(), address, 16);
    return "0x" + std::string{digits.data(), end.ptr};
}

/// Returns what the user can do about a swap file that does not accept more pages.
const char* remedy_for(int error) noexcept {
    switch (error) {
        case ENOSPC:
            return "; free space in the swap directory";
        case EDQUOT:
            return "; the disk quota of the swap directory is used up";
        case EFBIG:
            return "; the file size limit (`ulimit -f`, setrlimit) forbids the swap file to grow";
        default:
            return "";
    }
}

std::string message_of(const Event& event) {
    std::string reason = std::generic_category().message(event.error);
    switch (event.kind) {
        case Event::Kind::read_failed:
            return "the page at " + hexadecimal(event.address) + " could not be read back: " + reason +
                   "; accesses to it get SIGBUS until Region::retry or discard";
        case Event::Kind::write_failed:
            return "the page at " + hexadecimal(event.address) + " could not be written: " + reason +
                   "; it stays in memory" + remedy_for(event.error);
        case Event::Kind::frames_exhausted:
            return "no frame for the page at " + hexadecimal(event.address) + ": nothing could be evicted (" + reason +
                   "); the access got SIGBUS" + remedy_for(event.error);
        case Event::Kind::map_failed:
            return "the page at " + hexadecimal(event.address) + " could not be mapped: " + reason;
        case Event::Kind::policy_failed:
            return "the replacement policy chose frame " + std::to_string(event.address) + " with the tag " +
                   std::to_string(event.error) + ": it does not have that frame, or the tag is above " +
                   std::to_string(Victim::kMaxTag) +
                   "; the pager does not call it any more, and evicts pages in the order of their frames";
    }
    return reason;
}

LogLevel level_of(Event::Kind kind) noexcept {
    return kind == Event::Kind::write_failed ? LogLevel::warning : LogLevel::error;
}

const char* subject_of(Event::Kind kind) noexcept {
    switch (kind) {
        case Event::Kind::read_failed:
            return "reading a page back failed";
        case Event::Kind::write_failed:
            return "writing a page failed";
        case Event::Kind::frames_exhausted:
            return "an access got SIGBUS because no frame was free";
        case Event::Kind::map_failed:
            return "mapping a page failed";
        case Event::Kind::policy_failed:
            return "the replacement policy failed";
    }
    return "events";
}

}  // namespace

EventLog::EventLog(Sink sink, Clock clock)
    : sink_{sink ? std::move(sink) : Sink{say_on_standard_error}}, clock_{std::move(clock)} {
    for (std::size_t kind = 0; kind < streams_.size(); ++kind) streams_[kind].kind = static_cast<Event::Kind>(kind);
}

EventLog::Ticket EventLog::record(const Event& event) FAULTLINE_SIGNAL_SAFE {
    Stream& stream = streams_[static_cast<std::size_t>(event.kind)];
    if (!stream.events.put(event)) stream.dropped.fetch_add(1, std::memory_order_relaxed);
    return recorded_.fetch_add(1, std::memory_order_acq_rel) + 1;
}

void EventLog::wait_until_reported(Ticket ticket, std::chrono::nanoseconds limit) const FAULTLINE_SIGNAL_SAFE {
    const std::chrono::nanoseconds until = sys::monotonic_time() + limit;
    for (;;) {
        const Ticket told = told_.load(std::memory_order_acquire);
        if (static_cast<std::int32_t>(told - ticket) >= 0) return;
        const std::chrono::nanoseconds left = until - sys::monotonic_time();
        if (left <= left.zero()) return;
        sys::futex_wait(told_, told, &left);
    }
}

/// Reports the system calls that the kernel refused temporarily, in the whole process, and how often. At most once per
/// second.
void EventLog::tell_transient_errors() {
    constexpr std::chrono::seconds kBetween{1};
    const auto now = std::chrono::steady_clock::now();
    if (transient_told_ && now - *transient_told_ < kBetween) return;
    for (;;) {
        const sys::TransientError waited_out = sys::take_transient();
        if (waited_out.times == 0) return;
        transient_told_ = now;
        sink_(LogLevel::warning, std::string("the kernel refused a system call temporarily, and it was repeated: ") +
                                     waited_out.call + ": " + std::generic_category().message(waited_out.error) + " (" +
                                     std::to_string(waited_out.times) + " times)");
    }
}

void EventLog::drain() { drain_by(&MessageLimiter::take_left_out); }
void EventLog::flush() { drain_by(&MessageLimiter::take_all); }

void EventLog::drain_by(std::uint64_t (MessageLimiter::*take)(MessageLimiter::Time) noexcept) {
    const std::lock_guard lock{draining_};
    tell_transient_errors();
    const Ticket recorded = recorded_.load(std::memory_order_acquire);
    for (Stream& stream : streams_) {
        take_events(stream);
        say_left_out(stream, (stream.limiter.*take)(clock_()));
    }
    if (told_.exchange(recorded, std::memory_order_acq_rel) != recorded) sys::futex_wake(told_);
}

std::optional<std::chrono::nanoseconds> EventLog::time_to_drain() {
    const std::lock_guard lock{draining_};
    std::optional<MessageLimiter::Time> first;
    for (const Stream& stream : streams_) {
        const std::optional<MessageLimiter::Time> due = stream.limiter.due();
        if (due && (!first || *due < *first)) first = due;
    }
    if (!first) return std::nullopt;
    const MessageLimiter::Time now = clock_();
    return *first > now ? *first - now : std::chrono::nanoseconds{0};
}

void EventLog::take_events(Stream& stream) {
    while (const std::optional<Event> event = stream.events.take()) {
        const MessageLimiter::Time now = clock_();
        // Report the events left out earlier first, so that messages stay in order.
        say_left_out(stream, stream.limiter.take_left_out(now));
        if (stream.limiter.admit(now)) {
            say(*event, 0);
        } else {
            stream.last = *event;
        }
    }
    stream.limiter.leave_out(stream.dropped.exchange(0, std::memory_order_relaxed));
}

/// Reports the newest event left out, with the number of the others. Of events that found the ring full, only the
/// number is known.
void EventLog::say_left_out(Stream& stream, std::uint64_t count) {
    if (count == 0) return;
    if (stream.last) {
        say(*stream.last, count - 1);
    } else {
        sink_(level_of(stream.kind),
              std::string{subject_of(stream.kind)} + ": " + std::to_string(count) + " more times");
    }
    stream.last.reset();
}

void EventLog::say(const Event& event, std::uint64_t left_out) const {
    std::string message = message_of(event);
    if (left_out > 0) message += " (and " + std::to_string(left_out) + " more like this since the last message)";
    sink_(level_of(event.kind), message);
}

}  // namespace faultline::pager
