// SwapDirectory: the directory that swap files are made in, held open: a process makes files there later, too, when it
// has changed its root or its working directory.
#pragma once

#include "sys/file_descriptor.hpp"

#include <filesystem>
#include <string>

namespace faultline::store {

class SwapDirectory {
public:
    /// `path`: as seen from the present working directory. What is wrong with it `open_unnamed` says.
    explicit SwapDirectory(std::filesystem::path path);

    /// A new file without a name, for its owner alone (mode 0600). Throws std::system_error naming the directory and
    /// what to do.
    [[nodiscard]] sys::FileDescriptor open_unnamed() const;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    [[nodiscard]] bool is_there() const;
    [[nodiscard]] sys::FileDescriptor open_and_unlink() const;

    std::filesystem::path path_;  // absolute
    sys::FileDescriptor fd_;
};

/// The directory to swap to when none is named: $TMPDIR, else /var/tmp (which, unlike /tmp, is on a disk).
std::filesystem::path default_swap_directory();

}  // namespace faultline::store
