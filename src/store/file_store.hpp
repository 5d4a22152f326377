// FileStore: one region's part of a swap file. The location of a page is its index, so adjacent pages stay adjacent and
// no map is needed. The file is sparse: only written pages take space. Short and interrupted transfers are finished
// here.
#pragma once

#include "store/backing_store.hpp"
#include "store/block_file.hpp"

namespace faultline::store {

class FileStore : public BackingStore {
public:
    /// Uses the bytes of `file` from offset `base` on. The file must outlive the store.
    FileStore(BlockFile& file, std::uint64_t base) noexcept : file_{file}, base_{base} {}

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void discard_keeping_space(std::uint64_t, std::uint64_t) FAULTLINE_SIGNAL_SAFE override {}
    [[nodiscard]] FileExtent extent() const FAULTLINE_SIGNAL_SAFE override { return {file_.fd(), base_}; }
    void begin_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        file_.prepare_write(base_ + offset, bytes);
    }

protected:
    [[nodiscard]] std::uint64_t base() const noexcept { return base_; }

private:
    BlockFile& file_;
    std::uint64_t base_;
};

}  // namespace faultline::store
