// StackRecorder: samples the call stacks of the faults that a pager resolves, and appends them to a file
// (docs/record-format.md). A fault that is sampled puts its sample into a ring; a thread of this class writes the file.
// A child of fork makes a recorder of its own, which appends to the same file.
//
// A sample that finds the ring full is lost, and counted. Recording ends if the file cannot be written; that is logged,
// and the pager continues.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/service_thread.hpp"
#include "trace/stacks/process_maps.hpp"
#include "trace/stacks/stack_file_writer.hpp"
#include "trace/stacks/stack_sampler.hpp"

#include <faultline/types.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

namespace faultline::trace {

struct StackRecording {
    std::filesystem::path path;
    unsigned rate = 0;                ///< Samples for each second that faults take, at first.
    std::size_t stack_bytes = 0;      ///< Of each sample, at most.
    std::uint64_t touched_units = 0;  ///< By first touches before: those of a child's parent.
    StackSession session;
};

class StackRecorder {
public:
    using Log = std::function<void(LogLevel, std::string_view)>;
    static constexpr std::size_t kSamplesWaiting = 128;

    /// Opens the file. `waiting`: capacity of the ring in samples, a power of two. Throws std::system_error.
    StackRecorder(const StackRecording& what, Log log, std::size_t waiting = kSamplesWaiting);
    /// Ends the thread, and writes the remaining samples.
    ~StackRecorder();
    StackRecorder(const StackRecorder&) = delete;
    StackRecorder& operator=(const StackRecorder&) = delete;

    /// Starts and ends the writing thread. Samples wait in the ring meanwhile. `start` throws std::system_error.
    void start();
    void stop() noexcept;

    /// Counts a fault that was resolved, and samples it if its turn has come. Signal-safe.
    void record(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE;

    /// Returns how many units first touches have brought in so far.
    [[nodiscard]] std::uint64_t touched_units() const noexcept { return sampler_.totals().touched_units; }

    /// Asks the thread to write all samples and sums of now, and waits until it has, but at most a second. Signal-safe.
    void flush() FAULTLINE_SIGNAL_SAFE;

private:
    void run() noexcept;
    void drain() noexcept;
    void write_waiting();
    [[nodiscard]] double nanoseconds_per_tick() const;

    Log log_;
    std::uint64_t first_tick_;
    std::chrono::nanoseconds first_time_;
    StackSampler sampler_;
    StackFileWriter writer_;
    std::optional<ProcessMaps> maps_;    // as last written
    std::uint64_t code_looked_for_ = 0;  // an instruction without a mapping
    FaultTotals written_;                // the last sums
    bool writing_ = true;                // false after an error
    std::atomic<bool> recording_{true};
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint32_t> asked_{0};       // futex: number of requests to write
    std::atomic<std::uint32_t> answered_{0};    // futex: number of requests that are done
    std::optional<sys::ServiceThread> thread_;  // last member: its thread ends before the other members are destroyed
};

}  // namespace faultline::trace
