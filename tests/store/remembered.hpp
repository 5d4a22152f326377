// Remembered: a store, and the contents that its pages must have, kept in ordinary memory.
#pragma once

#include "store/backing_store.hpp"
#include "store/page_contents.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace faultline::test {

/// Page `page` in its version `version`. No two are alike. Of three versions one does not compress.
inline Contents contents_of(std::uint64_t page, std::uint64_t version) {
    return {static_cast<Contents::Kind>((page + version) % Contents::kKinds), page * 1'000'003 + version};
}

class Remembered {
public:
    static constexpr std::uint64_t kMostAtOnce = 16;

    Remembered(std::unique_ptr<store::BackingStore> store, std::uint64_t pages, std::size_t page_bytes)
        : page_bytes_{page_bytes},
          store_{std::move(store)},
          expected_(pages),
          buffer_{sys::Mapping::reserve(kMostAtOnce * page_bytes, page_bytes, true, "test pages")} {}

    void write(std::uint64_t page, const Contents& contents) { ASSERT_EQ(try_write(page, contents), 0); }
    /// Returns the error. The page then has no contents.
    int try_write(std::uint64_t page, const Contents& contents) {
        contents.fill(buffer(1));
        const int error = store_->write(page * page_bytes_, buffer(1));
        expected_[page] = contents;
        if (error != 0) expected_[page].reset();
        return error;
    }
    void write_version(std::uint64_t first, std::uint64_t count, std::uint64_t version) {
        for (std::uint64_t page = first; page < first + count; ++page) write(page, contents_of(page, version));
    }
    void write_all(std::uint64_t version) { write_version(0, pages(), version); }
    /// Records a write or a loss that other code causes.
    void now_has(std::uint64_t page, std::optional<Contents> contents) { expected_[page] = contents; }

    void discard(std::uint64_t first, std::uint64_t count) {
        store_->discard(first * page_bytes_, count * page_bytes_);
        for (std::uint64_t i = 0; i < count; ++i) expected_[first + i].reset();
    }

    /// Offers the bytes of a page, which the store has, for a copy in memory.
    void keep_copy(std::uint64_t page) {
        if (!expected_[page]) return;
        expected_[page]->fill(buffer(1));
        store_->keep_copy(page * page_bytes_, buffer(1));
    }

    /// Returns the error of a read of whole pages.
    [[nodiscard]] int error_of_read(std::uint64_t first, std::uint64_t count = 1) {
        std::memset(buffer(count).data(), 0xee, count * page_bytes_);
        return store_->read(first * page_bytes_, buffer(count));
    }
    /// Reads `count` pages with one call and checks them.
    void check_range(std::uint64_t first, std::uint64_t count) {
        ASSERT_EQ(error_of_read(first, count), 0) << "pages from " << first;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (!expected_[first + i]) continue;
            const std::vector<std::byte> wanted = expected_[first + i]->bytes(page_bytes_);
            ASSERT_EQ(std::memcmp(&buffer_.bytes()[i * page_bytes_], wanted.data(), page_bytes_), 0)
                << "page " << first + i;
        }
    }
    void check(std::uint64_t at_once = 1) {
        for (std::uint64_t first = 0; first < pages(); first += at_once) {
            check_range(first, std::min(at_once, pages() - first));
        }
    }

    /// Makes random writes, discards, reads and copies.
    void churn(std::mt19937_64& random, int steps) {
        for (int step = 0; step < steps; ++step) {
            const std::uint64_t first = random() % pages();
            const std::uint64_t count = std::min(random() % kMostAtOnce + 1, pages() - first);
            switch (random() % 5) {
                case 0:
                    discard(first, count);
                    break;
                case 1:
                    check_range(first, count);
                    break;
                case 2:
                    for (std::uint64_t page = first; page < first + count; ++page) keep_copy(page);
                    break;
                default:
                    write_version(first, count, random());
            }
        }
    }

    [[nodiscard]] std::uint64_t pages() const { return expected_.size(); }
    [[nodiscard]] std::size_t page_bytes() const { return page_bytes_; }
    [[nodiscard]] store::BackingStore& store() { return *store_; }
    [[nodiscard]] const std::optional<Contents>& expected(std::uint64_t page) const { return expected_[page]; }

private:
    [[nodiscard]] std::span<std::byte> buffer(std::uint64_t pages) {
        return buffer_.bytes().first(pages * page_bytes_);
    }

    std::size_t page_bytes_;
    std::unique_ptr<store::BackingStore> store_;
    std::vector<std::optional<Contents>> expected_;
    sys::Mapping buffer_;  // aligned, as direct I/O needs it
};

}  // namespace faultline::test
