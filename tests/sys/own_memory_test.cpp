// Copies of memory that may be inaccessible end where it becomes so.
#include "sys/own_memory.hpp"

#include "core/units.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

namespace faultline::sys {
namespace {

using core::kUnitBytes;

class OwnMemory : public testing::Test {
protected:
    void SetUp() override {
        pages_ = static_cast<std::byte*>(
            ::mmap(nullptr, 3 * kUnitBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ASSERT_NE(pages_, MAP_FAILED);
        std::memset(pages_, 7, 3 * kUnitBytes);
    }
    void TearDown() override { ::munmap(pages_, 3 * kUnitBytes); }

    [[nodiscard]] std::size_t copy_from(const std::byte* address, std::size_t bytes) {
        copied_.assign(bytes, std::byte{0});
        return copy_readable(core::address_of(address), copied_);
    }

    std::byte* pages_ = nullptr;
    std::vector<std::byte> copied_;
};

TEST_F(OwnMemory, IsCopiedAcrossPages) {
    EXPECT_EQ(copy_from(pages_ + 100, 2 * kUnitBytes), 2 * kUnitBytes);
    EXPECT_EQ(std::memcmp(copied_.data(), pages_ + 100, 2 * kUnitBytes), 0);
    EXPECT_EQ(copy_from(pages_, 0), 0U);
}

TEST_F(OwnMemory, IsCopiedUpToThePageThatCannotBeRead) {
    ASSERT_EQ(::mprotect(pages_ + 2 * kUnitBytes, kUnitBytes, PROT_NONE), 0);
    EXPECT_EQ(copy_from(pages_ + 100, 3 * kUnitBytes), 2 * kUnitBytes - 100);
    EXPECT_EQ(std::memcmp(copied_.data(), pages_ + 100, 2 * kUnitBytes - 100), 0);
    ASSERT_EQ(::munmap(pages_ + kUnitBytes, kUnitBytes), 0);
    EXPECT_EQ(copy_from(pages_ + kUnitBytes - 8, kUnitBytes), 8U);
    EXPECT_EQ(copy_from(pages_ + kUnitBytes, 8), 0U);
}

TEST_F(OwnMemory, HasALimitForOneCopy) {
    std::vector<std::byte> large(2 * kMostCopied, std::byte{1});
    EXPECT_EQ(copy_from(large.data() + 1, large.size() - 1), kMostCopied);
}

TEST_F(OwnMemory, DoesNotReachBeyondTheLastAddress) {
    std::array<std::byte, 64> to{};
    EXPECT_EQ(copy_readable(~std::uintptr_t{0} - 8, to), 0U);
    EXPECT_EQ(copy_readable(0, to), 0U);
}

}  // namespace
}  // namespace faultline::sys
