// FileReader: while one lives, read_file_start (sys/file_read.hpp) reads in its thread, which has a descriptor table of
// its own. Background threads that open a file themselves take the lowest free number of the program's table for a
// moment. A program that closes 0 and opens a file to get 0 would get another number then.
#pragma once

#include "sys/separate_thread.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace faultline::sys {

/// One at a time in a process.
class FileReader {
public:
    /// Starts the thread. Throws std::system_error.
    FileReader();
    /// Waits until no thread reads through it.
    ~FileReader();
    FileReader(const FileReader&) = delete;
    FileReader& operator=(const FileReader&) = delete;

    /// Does what read_file_start does, if a reader lives that belongs to this process. A child of fork does not have
    /// its parent's. Signal-safe.
    [[nodiscard]] static std::optional<std::string_view> try_read(const char* path,
                                                                  std::span<char> buffer) FAULTLINE_SIGNAL_SAFE;

private:
    SeparateThread thread_;
};

}  // namespace faultline::sys
