#include "pager/event_log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <string>

namespace faultline::detail {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

void say_on_standard_error(LogLevel level, std::string_view message) {
    // Made once and never registered: faultline must not change the program's own spdlog set-up.
    static const auto logger = [] {
        auto made =
            std::make_shared<spdlog::logger>("faultline", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        made->set_level(spdlog::level::warn);
        return made;
    }();
    logger->log(spdlog_level(level), message);
}

std::string hexadecimal(std::uintptr_t address) { return fmt::format("{:#x}", address); }

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

void EventLog::drain() {
    const std::lock_guard lock{draining_};
    while (const std::optional<Event> event = events_.take()) {
        sink_(event->kind == Event::Kind::write_failed ? LogLevel::warning : LogLevel::error, message_of(*event));
    }
    if (const std::uint64_t dropped = dropped_.exchange(0); dropped > 0) {
        sink_(LogLevel::warning, std::to_string(dropped) + " more messages like these were not kept");
    }
}

}  // namespace faultline::detail
