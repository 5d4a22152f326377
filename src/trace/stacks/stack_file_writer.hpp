// StackFileWriter: appends the blocks of one session to a file of stack samples. For one ordinary thread: it allocates,
// blocks on I/O and throws. The file's owner alone may read it, because stacks contain a program's data.
#pragma once

#include "sys/file_descriptor.hpp"
#include "trace/stacks/process_maps.hpp"
#include "trace/stacks/stack_file_format.hpp"
#include "trace/stacks/stack_sample.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

namespace faultline::trace {

/// What a file says of a session, besides what the writer finds out itself.
struct StackSession {
    std::uint64_t memory_limit = 0;    ///< Bytes; 0: none.
    std::uint64_t resident_limit = 0;  ///< Bytes; holds if `memory_limit` is 0.
};

class StackFileWriter {
public:
    /// Opens the file for appending, makes it if it does not exist, and begins a session. Throws std::system_error.
    StackFileWriter(const std::filesystem::path& path, const StackSession& session);

    /// Makes an empty file, or empties it, for processes to append to. Throws std::system_error.
    static void create(const std::filesystem::path& path);

    /// These add or write what they are named after. Throw std::system_error.
    void append(const StackSample& sample, double nanoseconds_per_tick);
    void flush_samples();
    void write(const ProcessMaps& maps);
    void write(const FaultTotals& totals, std::chrono::nanoseconds now, double nanoseconds_per_tick);

private:
    explicit StackFileWriter(std::filesystem::path path) noexcept : path_{std::move(path)} {}
    void open(int flags);
    [[noreturn]] void fail(const char* what, int error) const;
    void begin_file();
    void write_block(BlockKind kind, std::span<const unsigned char> bytes);
    void write_process(const StackSession& session);
    void write_out(std::span<const unsigned char> bytes);

    std::filesystem::path path_;
    sys::FileDescriptor file_;
    std::uint64_t session_ = 0;
    std::vector<unsigned char> samples_;  // not written yet
    std::vector<unsigned char> block_;    // being written
};

}  // namespace faultline::trace
