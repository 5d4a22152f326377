// FaultTrace: writes a page trace of the faults that a pager resolves, for replaying them under other policies
// (docs/trace-format.md). Faults are put into a ring; a thread of its own turns them into the file. It sees faults, not
// touches: a touch of a page that is there leaves no trace, here or anywhere.
//
// Recording ends with the first fault that finds no room, because faults come faster than they can be written: what
// came later would not follow what came before. (Another thread's fault of that very moment may still get in.) Those
// that are missing are counted, and the trace says how many. It ends, too, when the file cannot be written, and that is
// then not whole. A message tells of both; the pager goes on.
#pragma once

#include "core/event_ring.hpp"
#include "core/signal_safe.hpp"
#include "sys/service_thread.hpp"
#include "trace/trace_writer.hpp"

#include <faultline/types.hpp>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace faultline::trace {

class FaultTrace {
public:
    using Log = std::function<void(LogLevel, std::string_view)>;
    static constexpr std::size_t kFaultsWaiting = std::size_t{1} << 16;

    /// Creates or replaces the file. Nothing is written to it before start(). `waiting`: faults in the ring, a power of
    /// two. Throws std::system_error.
    FaultTrace(std::filesystem::path path, Log log, std::size_t waiting = kFaultsWaiting);
    /// Ends the thread, writes what is left, and makes the file whole.
    ~FaultTrace();
    FaultTrace(const FaultTrace&) = delete;
    FaultTrace& operator=(const FaultTrace&) = delete;

    /// Starts the thread that writes. Throws std::system_error.
    void start();

    /// A fault on the page at `page` was resolved. Signal-safe.
    void record(const std::byte* page, bool write) FAULTLINE_SIGNAL_SAFE;

private:
    struct Fault {
        std::uint64_t page = 0;  // address, in 4 KiB
        bool write = false;
    };

    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }
    void run() noexcept;
    void drain() noexcept;
    void finish() noexcept;

    std::filesystem::path path_;
    Log log_;
    core::EventRing<Fault> faults_;
    std::atomic<bool> recording_{true};  // false: the file takes no more
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint32_t> news_{0};  // futex
    TraceWriter writer_;
    std::optional<sys::ServiceThread> thread_;  // last: joined before the rest goes
};

}  // namespace faultline::trace
