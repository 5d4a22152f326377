// CompressedStore: the pages of one region, compressed in the memory of a CompressedPool that all regions share. Blocks
// that do not fit or do not shrink go to a store behind. Its BlockTable holds each block's location. CompressedPool
// spills the oldest blocks to the store behind. Bytes from the store behind are checked: a mismatch is EIO, never wrong
// bytes.
#pragma once

#include "store/backing_store.hpp"
#include "store/block_table.hpp"
#include "store/compressed_pool.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::store {

/// See BackingStore for the calls. Reads, writes and discards are of whole blocks. A block is a page, or 16 KiB of a
/// larger page. After a failed write a page must be written or discarded before it can be read.
class CompressedStore final : public BackingStore {
public:
    /// A store for `bytes` in pages of `page_bytes`, which divides them. The pool must outlive the store. Throws
    /// std::system_error (ENOMEM).
    CompressedStore(CompressedPool& pool, std::unique_ptr<BackingStore> behind, std::uint64_t bytes,
                    std::size_t page_bytes);
    ~CompressedStore() override;
    CompressedStore(const CompressedStore&) = delete;
    CompressedStore& operator=(const CompressedStore&) = delete;

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;
    void discard_keeping_space(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;

private:
    [[nodiscard]] std::uint64_t block_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t run_behind(std::uint64_t first, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read_run(std::uint64_t first, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool arrived_intact(std::uint64_t block, std::span<std::byte> bytes) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read_one(std::uint64_t block, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] bool keep_compressed(std::uint64_t block, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool worth_trying() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int write_behind(std::uint64_t first, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE;
    void claim_for_write(std::uint64_t block, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] bool discard_block(std::uint64_t block) FAULTLINE_SIGNAL_SAFE;
    template <typename Behind>
    void discard_blocks(std::uint64_t offset, std::uint64_t bytes, Behind behind) FAULTLINE_SIGNAL_SAFE;
    void empty_behind(std::uint64_t first, std::uint64_t end) FAULTLINE_SIGNAL_SAFE;

    CompressedPool& pool_;
    std::unique_ptr<BackingStore> behind_;
    BlockTable table_;
    std::uint32_t id_;
    std::atomic<std::uint32_t> rejected_in_a_row_{0};  // relaxed: for a decision only
};

}  // namespace faultline::store
