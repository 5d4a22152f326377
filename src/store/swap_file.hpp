// SwapFile: one file of the operating system that pages are swapped to: without a name, readable by nobody else, past
// the page cache where the file system allows.
#pragma once

#include "store/block_file.hpp"
#include "store/freed_blocks.hpp"
#include "store/swap_directory.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>

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
    /// Waits while the range is being punched, and gives blocks ahead of its writes to a part of the file that is
    /// written in small pieces.
    void make_room(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Makes no call: punch_some punches what was freed, in large pieces, or write_at does when the disk is full.
    void punch(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int fd() const FAULTLINE_SIGNAL_SAFE override { return fd_.get(); }

    /// Punches a range, which the caller owns, with one call.
    void punch_now(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    // What was freed is worth a call when a MiB of the file has nothing else, or when it is more than kWasteBytes and
    // more than a kWastePart of what the file holds. Then it shrinks to half of that, the fullest pieces first.

    static constexpr std::uint64_t kWasteBytes = std::uint64_t{32} << 20;
    static constexpr std::uint64_t kWastePart = 8;

    [[nodiscard]] bool worth_punching() const FAULTLINE_SIGNAL_SAFE;
    /// Punches one piece, with one call, of what is worth it. False: nothing is.
    bool punch_some() FAULTLINE_SIGNAL_SAFE;
    /// Punches one piece of what was freed, with one call, worth it or not. False: nothing was freed.
    bool punch_any() FAULTLINE_SIGNAL_SAFE;
    /// Bytes that were freed and not punched.
    [[nodiscard]] std::uint64_t freed_bytes() const FAULTLINE_SIGNAL_SAFE { return freed_->freed_bytes(); }

private:
    /// What was freed, and how much of it may wait.
    struct Freed : FreedBlocks {
        std::atomic<std::uint64_t> bound{kWasteBytes};
    };

    SwapFile(sys::FileDescriptor fd, std::filesystem::path place);
    void try_direct();
    [[nodiscard]] bool allocate(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    void give_blocks_back(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;
    bool punch_piece(std::uint64_t keep_bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t waste_bound() const FAULTLINE_SIGNAL_SAFE;

    sys::FileDescriptor fd_;
    std::filesystem::path place_;  // for messages
    bool direct_ = false;
    std::uint64_t length_ = 0;
    // Units of each MiB that were written in small pieces; kRoomMade when the rest of it has its blocks, too.
    sys::LazyArray<std::atomic<std::uint16_t>> small_writes_;
    std::unique_ptr<Freed> freed_ = std::make_unique<Freed>();
};

}  // namespace faultline::store
