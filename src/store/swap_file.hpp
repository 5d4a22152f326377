// SwapFile: one swap file of the operating system. It has no name, only its owner can read it, and it bypasses the page
// cache where the file system allows. SwapSpace opens it; FileStore and LayeredStore transfer pages. It does not know
// which region a page belongs to.
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
    /// Creates an unnamed file (mode 0600) in `directory`. Throws std::system_error that names the directory and what
    /// to do.
    static SwapFile unnamed_in(const SwapDirectory& directory);
    static SwapFile unnamed_in(const std::filesystem::path& directory) { return unnamed_in(SwapDirectory{directory}); }

    /// Creates the file `path` (mode 0600), which must not exist, and unlinks it at once. Its space is freed with the
    /// descriptor.
    static SwapFile named(const std::filesystem::path& path);

    /// Makes the file at least `bytes` long without allocating blocks. Throws std::system_error (EFBIG).
    void extend_to(std::uint64_t bytes);

    [[nodiscard]] bool direct() const noexcept { return direct_; }

    /// Returns the free bytes of the file system; the largest number if that is unknown.
    [[nodiscard]] std::uint64_t free_space() const noexcept;

    [[nodiscard]] long read_at(void* into, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] long write_at(const void* from, std::size_t bytes,
                                std::uint64_t offset) FAULTLINE_SIGNAL_SAFE override;
    /// Blocks while the range is being punched. In a part of the file that is written in small pieces, allocates blocks
    /// ahead of the writes.
    void prepare_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Makes no system call. punch_some punches the freed ranges later, in large pieces; write_at does when the disk is
    /// full.
    void punch(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int fd() const FAULTLINE_SIGNAL_SAFE override { return fd_.get(); }

    /// Punches a range, which the caller owns, with one system call.
    void punch_now(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    // Freed blocks are worth a system call in two cases: a whole MiB of the file has nothing else; or the freed blocks
    // exceed both kWasteBytes and a kWastePart of what the file holds. In the second case they shrink to half of that,
    // the fullest pieces first.

    static constexpr std::uint64_t kWasteBytes = std::uint64_t{32} << 20;
    static constexpr std::uint64_t kWastePart = 8;

    [[nodiscard]] bool worth_punching() const FAULTLINE_SIGNAL_SAFE;
    /// Punches one piece that is worth it, with one system call. Returns false if there is none.
    bool punch_some() FAULTLINE_SIGNAL_SAFE;
    /// Punches one freed piece, worth it or not, with one system call. Returns false if there is none.
    bool punch_any() FAULTLINE_SIGNAL_SAFE;
    /// Returns the bytes that were freed and not punched.
    [[nodiscard]] std::uint64_t freed_bytes() const FAULTLINE_SIGNAL_SAFE { return freed_->freed_bytes(); }

private:
    /// The freed blocks, and how many bytes of them may wait for a punch.
    struct Freed : FreedBlocks {
        std::atomic<std::uint64_t> bound{kWasteBytes};  // relaxed: a stale value costs a call
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
    std::uint64_t length_ = 0;  // changed by extend_to only; other threads read it with atomic_ref
    // For each MiB, the units that were written in small pieces; kAllocated once the rest of the MiB has blocks, too.
    sys::LazyArray<std::atomic<std::uint16_t>> small_writes_;
    std::unique_ptr<Freed> freed_ = std::make_unique<Freed>();
};

}  // namespace faultline::store
