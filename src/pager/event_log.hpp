// EventLog: how the fault path says that something went wrong, without a lock or an allocation: fixed-size events in a
// ring, which a thread of the pager's turns into messages. When the ring is full events are counted, not kept: the
// statistics stay exact.
#pragma once

#include "core/event_ring.hpp"
#include "core/signal_safe.hpp"

#include <faultline/types.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

namespace faultline::detail {

struct Event {
    enum class Kind : std::uint8_t { read_failed, write_failed, frames_exhausted, map_failed };
    Kind kind = Kind::read_failed;
    int error = 0;
    std::uintptr_t address = 0;
};

class EventLog {
public:
    using Sink = std::function<void(LogLevel, std::string_view)>;

    /// `sink` empty: standard error through spdlog, warnings and errors only.
    explicit EventLog(Sink sink);

    /// Signal-safe.
    void record(const Event& event) FAULTLINE_SIGNAL_SAFE;

    /// Turns what was recorded into messages. Control calls and the pager's own threads.
    void drain();

    /// Around fork: no other thread is in the middle of a message.
    void lock() { draining_.lock(); }
    void unlock() noexcept { draining_.unlock(); }

    /// Says something now. Not from the fault path.
    void say(LogLevel level, std::string_view message) const { sink_(level, message); }

private:
    static constexpr std::size_t kEvents = 64;

    void tell_transient_errors();

    Sink sink_;
    core::EventRing<Event> events_{kEvents};
    std::atomic<std::uint64_t> dropped_{0};
    std::mutex draining_;
    std::optional<std::chrono::steady_clock::time_point> transient_told_;  // guarded by `draining_`
};

}  // namespace faultline::detail
