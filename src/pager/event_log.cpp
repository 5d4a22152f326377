#include "pager/event_log.hpp"

#include "pager/standard_error_log.hpp"
#include "sys/transient.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <string>

namespace faultline::detail {
namespace {

std::string hexadecimal(std::uintptr_t address) {
    std::array<char, 2 * sizeof address> digits{};
    const std::to_chars_result end = std::to_chars(digits.data(), digits.data() + digits.size(), address, 16);
    return "0x" + std::string{digits.data(), end.ptr};
}

std::string message_of(const Event& event) {
    const std::string reason = std::strerror(event.error);
    switch (event.kind) {
        case Event::Kind::read_failed:
            return "the page at " + hexadecimal(event.address) + " could not be read back: " + reason +
                   "; accesses to it get SIGBUS until Region::retry or discard";
        case Event::Kind::write_failed:
            return "the page at " + hexadecimal(event.address) + " could not be written: " + reason +
                   "; it stays in memory" + (event.error == ENOSPC ? "; free space in the swap directory" : "");
        case Event::Kind::frames_exhausted:
            return "no frame for the page at " + hexadecimal(event.address) + ": nothing could be evicted (" + reason +
                   "); the access got SIGBUS";
        case Event::Kind::map_failed:
            return "the page at " + hexadecimal(event.address) + " could not be mapped: " + reason;
    }
    return reason;
}

}  // namespace

EventLog::EventLog(Sink sink) : sink_{sink ? std::move(sink) : Sink{say_on_standard_error}} {}

void EventLog::record(const Event& event) FAULTLINE_SIGNAL_SAFE {
    if (!events_.put(event)) dropped_.fetch_add(1, std::memory_order_relaxed);
}

/// What the kernel has refused for a moment, in the whole process, and how often.
void EventLog::tell_transient_errors() {
    constexpr std::chrono::seconds kBetween{1};
    const auto now = std::chrono::steady_clock::now();
    if (transient_told_ && now - *transient_told_ < kBetween) return;
    for (;;) {
        const sys::TransientError waited_out = sys::take_transient();
        if (waited_out.times == 0) return;
        transient_told_ = now;
        sink_(LogLevel::warning, std::string("the kernel refused a call for a moment, and it was repeated: ") +
                                     waited_out.call + ": " + std::strerror(waited_out.error) + " (" +
                                     std::to_string(waited_out.times) + " times)");
    }
}

void EventLog::drain() {
    const std::lock_guard lock{draining_};
    tell_transient_errors();
    while (const std::optional<Event> event = events_.take()) {
        sink_(event->kind == Event::Kind::write_failed ? LogLevel::warning : LogLevel::error, message_of(*event));
    }
    if (const std::uint64_t dropped = dropped_.exchange(0); dropped > 0) {
        sink_(LogLevel::warning, std::to_string(dropped) + " more messages like these were not kept");
    }
}

}  // namespace faultline::detail
