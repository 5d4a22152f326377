#include "store/table_registry.hpp"

#include "store/memory_behind.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace faultline::test {
namespace {

using store::BlockTable;
using store::TableRegistry;

constexpr std::size_t kBlock = 4096;

class Tables : public testing::Test {
protected:
    MemoryBehind behind_{std::make_shared<Behind>(16 * kBlock)};
    BlockTable first_{behind_, 16 * kBlock, kBlock, 1};
    BlockTable second_{behind_, 16 * kBlock, kBlock, 2};
    TableRegistry registry_;
};

TEST_F(Tables, AreFoundByTheirIds) {
    const std::uint32_t first = registry_.add(first_);
    const std::uint32_t second = registry_.add(second_);
    EXPECT_NE(first, second);
    EXPECT_EQ(&registry_.at(second), &second_);
    EXPECT_EQ(registry_.start_using(first), &first_);
    registry_.stop_using(first);
    EXPECT_EQ(&registry_.remove(first), &first_);
    EXPECT_EQ(&registry_.remove(second), &second_);
}

TEST_F(Tables, ARemovedTableCannotBeUsed) {
    const std::uint32_t id = registry_.add(first_);
    static_cast<void>(registry_.remove(id));
    EXPECT_EQ(registry_.start_using(id), nullptr);
}

TEST_F(Tables, AnIdIsTakenUntilItIsFreed) {
    const std::uint32_t id = registry_.add(first_);
    static_cast<void>(registry_.remove(id));
    EXPECT_NE(registry_.add(second_), id) << "entries may still name it";
    registry_.free(id);
    EXPECT_EQ(registry_.add(first_), id);
}

TEST_F(Tables, RemovingWaitsForTheUsers) {
    const std::uint32_t id = registry_.add(first_);
    ASSERT_EQ(registry_.start_using(id), &first_);
    std::atomic<bool> stopped{false};
    std::atomic<bool> removing{false};
    std::thread user{[&] {
        while (!removing.load()) std::this_thread::yield();
        // From here on the other thread may already wait.
        while (registry_.start_using(id) != nullptr) {
            registry_.stop_using(id);
            std::this_thread::yield();
        }
        stopped.store(true);
        registry_.stop_using(id);
    }};
    removing.store(true);
    static_cast<void>(registry_.remove(id));
    EXPECT_TRUE(stopped.load()) << "the table was removed while it was in use";
    user.join();
}

}  // namespace
}  // namespace faultline::test
