// SwapDirectory: the directory for swap files, held open, so that a process can create swap files after it has changed
// its root or working directory. It creates files and does not keep them. SwapSpace and SwapFile use it.
#pragma once

#include "sys/file_descriptor.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <string>

namespace faultline::store {

/// The mode of a swap file: only its owner may read it.
inline constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

class SwapDirectory {
public:
    /// `path` is relative to the current working directory. Never fails: `open_unnamed` reports what is wrong with the
    /// path.
    explicit SwapDirectory(const std::filesystem::path& path);

    /// Creates a file without a name, readable only by its owner (mode 0600). Throws std::system_error that names the
    /// directory and what to do.
    [[nodiscard]] sys::FileDescriptor open_unnamed() const;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    [[nodiscard]] bool is_there() const;
    [[nodiscard]] sys::FileDescriptor open_and_unlink() const;

    std::filesystem::path path_;  // absolute
    sys::FileDescriptor fd_;
};

/// Returns the directory to swap to when no directory is configured: $TMPDIR, else /var/tmp (on a disk, unlike /tmp).
std::filesystem::path default_swap_directory();

}  // namespace faultline::store
