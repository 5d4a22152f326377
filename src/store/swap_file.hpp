// SwapFile: one swap file of the operating system. It has no name, only its owner can read it, and it bypasses the page
// cache where the file system allows. SwapSpace opens it; SlotTable says which slots lie in it. It does not know what
// its bytes are.
#pragma once

#include "core/signal_safe.hpp"
#include "store/slot_device.hpp"
#include "store/swap_directory.hpp"
#include "sys/file_descriptor.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace faultline::store {

class SwapFile final : public SlotDevice {
public:
    /// Creates an unnamed file (mode 0600) in `directory`. Throws std::system_error that names the directory and what
    /// to do.
    static SwapFile unnamed_in(const SwapDirectory& directory);
    static SwapFile unnamed_in(const std::filesystem::path& directory) { return unnamed_in(SwapDirectory{directory}); }

    /// The same in a directory where a file has been tried: nothing is written. `direct`: whether that file bypassed
    /// the page cache.
    static SwapFile unnamed_in(const SwapDirectory& directory, bool direct);

    /// Creates the file `path` (mode 0600), which must not exist, and unlinks it at once. Its space is freed with the
    /// descriptor.
    static SwapFile named(const std::filesystem::path& path);

    [[nodiscard]] bool direct() const noexcept { return direct_; }
    [[nodiscard]] int fd() const FAULTLINE_SIGNAL_SAFE override { return fd_.get(); }

    /// Allocates no blocks.
    void extend_to(std::uint64_t bytes) override;
    [[nodiscard]] std::uint64_t length() const noexcept override { return length_; }
    /// Returns what the process may give a file (RLIMIT_FSIZE).
    [[nodiscard]] std::uint64_t most_bytes() const noexcept override;

    // Of the file system.
    [[nodiscard]] std::uint64_t free_space() const noexcept override;
    [[nodiscard]] std::uint64_t medium_bytes() const noexcept override;

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE;
    // One after the other; ReadRings and WriteQueue make several at once by the descriptor.
    [[nodiscard]] int read_all(std::span<const FileRead> reads) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const iovec> parts) const FAULTLINE_SIGNAL_SAFE override;
    void write_all(std::span<FileWrite> writes) const FAULTLINE_SIGNAL_SAFE override;

    /// Allocates the blocks of a range in the file system, with one system call.
    void allocate(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    /// Frees the blocks of a range in the file system, with one system call.
    void punch(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;

private:
    SwapFile(sys::FileDescriptor fd, std::filesystem::path place) noexcept;
    void set_direct(bool wanted) noexcept;
    void try_direct();
    [[nodiscard]] long write_from(std::uint64_t offset, std::span<const iovec> parts,
                                  std::size_t skipped) const FAULTLINE_SIGNAL_SAFE;

    sys::FileDescriptor fd_;
    std::filesystem::path place_;  // for messages
    bool direct_ = false;
    std::uint64_t length_ = 0;
};

/// Returns `result`. Ends the process if it says that the descriptor is closed: the program has closed it, its pages
/// are lost, and more would be.
[[nodiscard]] long unless_closed(long result) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::store
