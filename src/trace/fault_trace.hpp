// FaultTrace: records the faults that a pager resolves in a trace file, to replay them under other policies
// (docs/trace-format.md). A fault puts a record into a ring; a thread of this class writes the file. Accesses to
// resident pages cause no fault and leave no record.
//
// Recording stops at the first fault that finds the ring full, because later records would not follow the earlier ones.
// (Another thread's fault at that very moment may still get in.) The faults that follow are counted, and the trace
// states how many. Recording also stops if the file cannot be written; the file is then incomplete. Both are logged,
// and the pager continues.
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

    /// Creates or replaces the file; writes nothing to it before start(). `waiting`: capacity of the ring in faults, a
    /// power of two. Throws std::system_error.
    FaultTrace(std::filesystem::path path, Log log, std::size_t waiting = kFaultsWaiting);
    /// Ends the thread, writes the remaining records, and completes the file.
    ~FaultTrace();
    FaultTrace(const FaultTrace&) = delete;
    FaultTrace& operator=(const FaultTrace&) = delete;

    /// Starts the writing thread. Throws std::system_error.
    void start();

    /// Records that a fault on the page at `page` was resolved. Signal-safe.
    void record(const std::byte* page, bool write) FAULTLINE_SIGNAL_SAFE;

private:
    struct Fault {
        std::uint64_t page = 0;  // address divided by 4 KiB
        bool write = false;
    };

    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }
    void run() noexcept;
    void drain() noexcept;
    void finish() noexcept;

    std::filesystem::path path_;
    Log log_;
    core::EventRing<Fault> faults_;
    std::atomic<bool> recording_{true};  // false: no further faults are recorded
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint32_t> news_{0};  // futex
    TraceWriter writer_;
    std::optional<sys::ServiceThread> thread_;  // last member: its thread ends before the other members are destroyed
};

}  // namespace faultline::trace
