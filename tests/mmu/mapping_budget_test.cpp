// MappingBudget: what it counts, when it is short, and that it leaves the mappings of other code alone.

#include "sys/mapping_budget.hpp"

#include "support/process.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>

namespace faultline::sys {
namespace {

std::int64_t allowed_by_the_kernel() {
    std::int64_t count = 0;
    std::ifstream{"/proc/sys/vm/max_map_count"} >> count;
    return count;
}

/// The process has one budget: each test returns what it takes.
class MappingBudgetTest : public testing::Test {
protected:
    MappingBudgetTest() { MappingBudget::recount(); }
    ~MappingBudgetTest() override {
        MappingBudget::account(before_ - MappingBudget::used());
        MappingBudget::recount();
    }
    std::int64_t before_ = MappingBudget::used();
};

TEST_F(MappingBudgetTest, CountsWhatItIsTold) {
    MappingBudget::account(100);
    MappingBudget::account(0);
    MappingBudget::account(-40);
    EXPECT_EQ(MappingBudget::used(), before_ + 60);
}

TEST_F(MappingBudgetTest, LeavesAQuarterOfWhatTheKernelAllowsToTheProgram) {
    const auto others = static_cast<std::int64_t>(test::mappings());
    const std::int64_t expected = allowed_by_the_kernel() / 4 * 3 - others;
    EXPECT_NEAR(static_cast<double>(MappingBudget::limit()), static_cast<double>(expected), 64);
    EXPECT_GT(MappingBudget::limit(), 0);
}

TEST_F(MappingBudgetTest, IsShortExactlyBeyondTheLimit) {
    EXPECT_FALSE(MappingBudget::is_short());
    MappingBudget::account(MappingBudget::limit() - MappingBudget::used());
    EXPECT_FALSE(MappingBudget::is_short());
    MappingBudget::account(1);
    EXPECT_TRUE(MappingBudget::is_short());
    MappingBudget::account(-1);
    EXPECT_FALSE(MappingBudget::is_short());
}

TEST_F(MappingBudgetTest, RecountLeavesWhatOthersHaveTaken) {
    constexpr int kTaken = 200;
    const std::int64_t before = MappingBudget::limit();
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const block = ::mmap(nullptr, 2 * kTaken * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(block, MAP_FAILED);
    for (int i = 0; i < kTaken; ++i) {
        ASSERT_EQ(::mprotect(static_cast<char*>(block) + 2 * static_cast<std::size_t>(i) * page, page, PROT_READ), 0);
    }
    MappingBudget::recount();
    EXPECT_LE(MappingBudget::limit(), before - 2 * kTaken + 64);
    ::munmap(block, 2 * kTaken * page);
    MappingBudget::recount();
    EXPECT_GE(MappingBudget::limit(), before - 64);
}

TEST_F(MappingBudgetTest, ExhaustedMeansShortAtOnceWhateverWasCounted) {
    MappingBudget::account(8000);
    ASSERT_FALSE(MappingBudget::is_short());
    MappingBudget::exhausted();
    EXPECT_TRUE(MappingBudget::is_short());
    const std::int64_t limit = MappingBudget::limit();
    MappingBudget::account(limit - MappingBudget::used());
    EXPECT_FALSE(MappingBudget::is_short()) << "giving some back must be enough";
}

TEST_F(MappingBudgetTest, ExhaustedNeverRaisesTheLimit) {
    MappingBudget::account(8000);
    MappingBudget::exhausted();
    const std::int64_t limit = MappingBudget::limit();
    MappingBudget::account(100'000);
    MappingBudget::exhausted();
    EXPECT_LE(MappingBudget::limit(), limit);
}

TEST_F(MappingBudgetTest, RecountForgetsThatItWasExhausted) {
    const std::int64_t before = MappingBudget::limit();
    MappingBudget::account(8000);
    MappingBudget::exhausted();
    MappingBudget::account(-8000);
    MappingBudget::recount();
    EXPECT_NEAR(static_cast<double>(MappingBudget::limit()), static_cast<double>(before), 8000 + 64);
    EXPECT_FALSE(MappingBudget::is_short());
}

}  // namespace
}  // namespace faultline::sys
