// Fixtures: a swap space with regions whose contents are remembered. After each test all records of slots must agree,
// and when the regions have gone, no slot may be left.
#pragma once

#include "core/units.hpp"
#include "store/remembered.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "store/swap_space.hpp"
#include "store/swap_store.hpp"
#include "store/write_queue.hpp"
#include "sys/mapping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace faultline::test {

inline std::uint64_t printed_seed() {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;  // before a fork copies the buffer
    return seed;
}

/// A swap space and its regions.
class SwapMachine {
public:
    SwapMachine(const std::filesystem::path& directory, std::size_t compressed_limit,
                const std::filesystem::path& file = {})
        : space_{directory, file, compressed_limit} {}
    ~SwapMachine() {
        audit();
        regions_.clear();
        audit();
        EXPECT_EQ(space_.slots().allocator().allotted_bytes(), 0U) << "the regions have gone, their slots have not";
        EXPECT_EQ(stats().compressed_bytes, 0U);
        EXPECT_EQ(stats().original_bytes, 0U);
    }
    SwapMachine(const SwapMachine&) = delete;
    SwapMachine& operator=(const SwapMachine&) = delete;

    void audit() { EXPECT_THAT(space_.problems(), testing::IsEmpty()); }

    /// Opens a region. The reference is valid until `close`.
    Remembered& region(std::uint64_t pages, std::size_t page_bytes = core::kUnitBytes) {
        regions_.push_back(
            std::make_unique<Remembered>(space_.open_for_pages(pages * page_bytes, page_bytes), pages, page_bytes));
        return *regions_.back();
    }
    void close(const Remembered& region) {
        std::erase_if(regions_, [&](const auto& one) { return one.get() == &region; });
    }
    /// Opens a region that shares the pages of another one.
    Remembered& clone_of(Remembered& other) {
        Remembered& clone = region(other.pages(), other.page_bytes());
        swap_store(clone).share_pages_of(swap_store(other));
        for (std::uint64_t page = 0; page < other.pages(); ++page) clone.now_has(page, other.expected(page));
        return clone;
    }
    static store::SwapStore& swap_store(Remembered& region) { return *region.store().swap_store(0); }

    [[nodiscard]] const std::vector<std::unique_ptr<Remembered>>& regions() const { return regions_; }
    [[nodiscard]] store::SwapSpace& space() { return space_; }
    [[nodiscard]] store::CompressedPool& pool() { return space_.pool(); }
    [[nodiscard]] store::CompressedStats stats() { return space_.pool().stats(); }
    [[nodiscard]] std::uint64_t allotted_pages() {
        return space_.slots().allocator().allotted_bytes() / core::kUnitBytes;
    }

    int spill_all() {
        store::SequentialWriteQueue queue;
        return space_.pool().spill_all(queue);
    }

    /// The file that is written to. There is one as soon as a region was opened.
    [[nodiscard]] store::SlotDevice& file() {
        store::SlotDevice* found = nullptr;
        space_.slots().table().for_each([&](std::uint32_t, const store::SlotShelf& shelf) {
            if (!shelf.frozen) found = shelf.device.get();
        });
        return *found;
    }
    /// Returns the bytes that the file which is written to takes on its device.
    [[nodiscard]] std::uint64_t file_bytes() { return bytes_taken(file().fd()); }

    /// Flips a bit of a page in its swap file.
    void flip_bit(Remembered& region, std::uint64_t page, std::uint64_t byte) {
        const store::SlotNumber first = swap_store(region).location_of(page);
        ASSERT_NE(first, store::kNoSlot);
        const store::SlotNumber slot = first + static_cast<store::SlotNumber>(byte / kUnit);
        const int fd = space_.slots().table().device_of(slot).fd();
        const auto offset = static_cast<off_t>(space_.slots().table().file_offset_of(slot));
        const sys::Mapping unit = sys::Mapping::reserve(kUnit, kUnit, true, "a damaged page");
        ASSERT_EQ(::pread(fd, unit.data(), kUnit, offset), static_cast<ssize_t>(kUnit));
        unit.data()[byte % kUnit] ^= std::byte{16};
        ASSERT_EQ(::pwrite(fd, unit.data(), kUnit, offset), static_cast<ssize_t>(kUnit));
    }

private:
    store::SwapSpace space_;
    std::vector<std::unique_ptr<Remembered>> regions_;
};

/// A swap space on a disk.
class SwapTest : public testing::Test {
protected:
    explicit SwapTest(std::size_t compressed_limit = 0) : swap_{directory_.path(), compressed_limit} {}

    TemporaryDirectory directory_{"/var/tmp"};
    SwapMachine swap_;
};

/// A swap space with memory for compressed pages.
template <std::size_t kSegments>
class CompressedSwapTest : public SwapTest {
protected:
    CompressedSwapTest() : SwapTest{kSegments * kSegment} {}
};

/// A swap space on each kind of file system, without compression and with memory for a few segments.
class SwapSpaceOn : public testing::TestWithParam<std::tuple<const char*, std::size_t>> {
protected:
    void SetUp() override {
        if (directory_.path().empty()) GTEST_SKIP() << "no directory can be made in " << std::get<0>(GetParam());
        swap_ = std::make_unique<SwapMachine>(directory_.path(), limit());
    }
    [[nodiscard]] static std::size_t limit() { return std::get<1>(GetParam()) * kSegment; }
    [[nodiscard]] SwapMachine& swap() { return *swap_; }

    TemporaryDirectory directory_{std::get<0>(GetParam())};
    std::unique_ptr<SwapMachine> swap_;
};

struct SwapSpaceName {
    template <typename Instance>
    std::string operator()(const Instance& instance) const {
        const std::string place = std::string{std::get<0>(instance.param)} == "/dev/shm" ? "tmpfs" : "disk";
        return place + (std::get<1>(instance.param) == 0 ? "" : "_compressed");
    }
};

inline auto swap_spaces() { return testing::Combine(file_systems(), testing::Values(0, 8)); }

}  // namespace faultline::test
