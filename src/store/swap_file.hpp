// SwapFile: one file of the operating system that pages are swapped to: without a name, readable by nobody else, past
// the page cache where the file system allows.
#pragma once

#include "store/block_file.hpp"
#include "store/swap_directory.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>

namespace faultline::store {

class SwapFile final : public BlockFile {
public:
    /// An unnamed file (mode 0600) in `directory`. Throws std::system_error naming the directory and what to do.
    static SwapFile unnamed_in(const SwapDirectory& directory);
    static SwapFile unnamed_in(const std::filesystem::path& directory) { return unnamed_in(SwapDirectory{directory}); }

    /// A new file `path` (mode 0600), which must not exist and is unlinked at once: its space goes with the descriptor.
    static SwapFile named(const std::filesystem::path& path);

    /// Makes the file at least `bytes` long, without taking space. Throws std::system_error (EFBIG).
    void extend_to(std::uint64_t bytes);

    [[nodiscard]] bool direct() const noexcept { return direct_; }

    /// Bytes that are free on its file system for whoever asks; the largest number there is where that cannot be told.
    [[nodiscard]] std::uint64_t free_space() const noexcept;

    [[nodiscard]] long read_at(void* into, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] long write_at(const void* from, std::size_t bytes,
                                std::uint64_t offset) FAULTLINE_SIGNAL_SAFE override;
    /// Gives blocks ahead of its writes to a part of the file that is written in small pieces.
    void make_room(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void punch(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int fd() const FAULTLINE_SIGNAL_SAFE override { return fd_.get(); }

private:
    SwapFile(sys::FileDescriptor fd, std::filesystem::path place);
    void try_direct();
    [[nodiscard]] bool allocate(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;

    sys::FileDescriptor fd_;
    std::filesystem::path place_;  // for messages
    bool direct_ = false;
    std::uint64_t length_ = 0;
    // Units of each MiB that were written in small pieces; kRoomMade when the rest of it has its blocks, too.
    sys::LazyArray<std::atomic<std::uint16_t>> small_writes_;
};

}  // namespace faultline::store
