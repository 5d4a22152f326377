// Fixture: a pool and a compressed store on memory, with helpers that many tests use.
#pragma once

#include "core/units.hpp"
#include "store/compressed_pool.hpp"
#include "store/compressed_store.hpp"
#include "store/memory_behind.hpp"
#include "store/page_contents.hpp"
#include "store/write_queue.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::test {

inline constexpr std::size_t kSegment = store::SegmentPool::kSegmentBytes;

class CompressedFixture {
public:
    CompressedFixture(std::size_t limit, std::uint64_t pages, std::size_t page_bytes = core::kUnitBytes)
        : page_bytes_{page_bytes},
          behind_{std::make_shared<Behind>(pages * page_bytes)},
          pool_{256 * kSegment, limit},
          store_{open()} {}
    ~CompressedFixture() {
        behind_->gate.open();
        store_.reset();
        EXPECT_EQ(pool_.stats().compressed_bytes, 0U) << "a store has gone, its bytes have not";
        EXPECT_EQ(pool_.stats().original_bytes, 0U);
        EXPECT_EQ(behind_->overlapping_writes.load(), 0) << "two writes of one page were in flight";
    }
    CompressedFixture(const CompressedFixture&) = delete;
    CompressedFixture& operator=(const CompressedFixture&) = delete;

    [[nodiscard]] store::CompressedPool& pool() { return pool_; }
    [[nodiscard]] store::CompressedStore& store() { return *store_; }
    [[nodiscard]] Behind& behind() { return *behind_; }
    [[nodiscard]] store::CompressedStats stats() const { return pool_.stats(); }
    [[nodiscard]] std::size_t page_bytes() const { return page_bytes_; }

    /// Opens another store on the same memory.
    [[nodiscard]] std::unique_ptr<store::CompressedStore> open() {
        return std::make_unique<store::CompressedStore>(pool_, std::make_unique<MemoryBehind>(behind_),
                                                        behind_->words.size() * 8, page_bytes_);
    }

    int write(std::uint64_t page, const Contents& contents) {
        return store_->write(page * page_bytes_, contents.bytes(page_bytes_));
    }
    int write_run(std::uint64_t first, const std::vector<Contents>& contents) {
        std::vector<std::byte> run(contents.size() * page_bytes_);
        for (std::size_t i = 0; i < contents.size(); ++i) {
            contents[i].fill(std::span{run}.subspan(i * page_bytes_, page_bytes_));
        }
        return store_->write(first * page_bytes_, run);
    }
    int read(std::uint64_t page) {
        std::vector<std::byte> bytes(page_bytes_);
        return store_->read(page * page_bytes_, bytes);
    }
    void discard(std::uint64_t page, std::uint64_t count = 1) {
        store_->discard(page * page_bytes_, count * page_bytes_);
    }
    void expect(std::uint64_t page, const Contents& contents) {
        std::vector<std::byte> bytes(page_bytes_);
        ASSERT_EQ(store_->read(page * page_bytes_, bytes), 0) << "page " << page;
        ASSERT_EQ(bytes, contents.bytes(page_bytes_)) << "page " << page;
    }
    int spill_all() {
        store::SequentialWriteQueue queue;
        return pool_.spill_all(queue);
    }

private:
    std::size_t page_bytes_;
    std::shared_ptr<Behind> behind_;
    store::CompressedPool pool_;
    std::unique_ptr<store::CompressedStore> store_;
};

}  // namespace faultline::test
