// Standard containers in a heap, through std::pmr and through allocator<T>.
#include "heap/heap_support.hpp"

#include <list>
#include <map>
#include <memory_resource>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace faultline::test {
namespace {

static_assert(sizeof(faultline::allocator<int>) == sizeof(void*));
static_assert(std::is_trivially_copyable_v<faultline::allocator<int>>);

TEST(HeapAllocator, PolymorphicContainersUseTheHeapAndFreeAllBlocks) {
    SmallHeap its{2 * kMiB};
    {
        std::pmr::map<std::pmr::string, std::pmr::vector<int>> words{its.heap.resource()};
        for (int i = 0; i < 20'000; ++i) words[std::pmr::string(40, 'a') + std::to_string(i).c_str()].push_back(i);
        EXPECT_TRUE(its.heap.owns(&*words.begin()));
        EXPECT_GT(its.heap.stats().live_bytes, its.pager.resident_limit());
        int expected = 0;
        for (int i = 0; i < 20'000; ++i) {
            expected += words.at(std::pmr::string(40, 'a') + std::to_string(i).c_str()) == std::pmr::vector<int>{i};
        }
        EXPECT_EQ(expected, 20'000);
    }
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
    EXPECT_TRUE(its.heap.resource()->is_equal(*its.heap.resource()));
    EXPECT_FALSE(its.heap.resource()->is_equal(*std::pmr::new_delete_resource()));
    EXPECT_THROW(static_cast<void>(its.heap.resource()->allocate(std::size_t{1} << 40)), std::bad_alloc);
}

TEST(HeapAllocator, StandardContainersBehaveAsWithTheDefaultAllocator) {
    SmallHeap its{2 * kMiB};
    SmallHeap other;
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random{seed};
    {
        using Numbers = std::set<std::uint32_t, std::less<>, faultline::allocator<std::uint32_t>>;
        Numbers numbers{its.heap};
        std::set<std::uint32_t> expected;
        for (int i = 0; i < 30'000; ++i) {
            const auto number = static_cast<std::uint32_t>(random() % 20'000);
            if (random() % 3 != 0) {
                EXPECT_EQ(numbers.insert(number).second, expected.insert(number).second);
            } else {
                EXPECT_EQ(numbers.erase(number), expected.erase(number));
            }
        }
        EXPECT_TRUE(std::equal(numbers.begin(), numbers.end(), expected.begin(), expected.end()));

        Numbers elsewhere{other.heap};
        elsewhere.insert(1);
        std::swap(numbers, elsewhere);
        EXPECT_TRUE(its.heap.owns(&*elsewhere.begin()) == false || elsewhere.size() == expected.size());
        EXPECT_EQ(elsewhere.size(), expected.size());
        numbers = std::move(elsewhere);
        EXPECT_TRUE(its.heap.owns(&*numbers.begin())) << "a moved container keeps its heap";
        const Numbers copy = numbers;
        EXPECT_EQ(copy.get_allocator(), numbers.get_allocator());
        EXPECT_NE(copy.get_allocator(), faultline::allocator<int>{other.heap});
    }
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
    EXPECT_EQ(other.heap.stats().live_blocks, 0U);
}

TEST(HeapAllocator, OverAlignedElementsAreAlignedAndTooManyAreRefused) {
    SmallHeap its;
    struct alignas(256) Wide {
        std::byte bytes[256];
    };
    std::vector<Wide, faultline::allocator<Wide>> wide(10, its.heap);
    EXPECT_TRUE(is_aligned(wide.data(), 256));
    EXPECT_THROW(static_cast<void>(faultline::allocator<Wide>{its.heap}.allocate(~std::size_t{0} / 8)),
                 std::bad_array_new_length);
    EXPECT_THROW(static_cast<void>(faultline::allocator<Wide>{its.heap}.allocate(std::size_t{1} << 34)),
                 std::bad_alloc);
}

}  // namespace
}  // namespace faultline::test
