// A page that came back writable, with a checksum of its bytes in the store, and is written to the store by a fork.

#include "traps/trap_support.hpp"

#include <cstdint>

namespace faultline::test {
namespace {

class ForkOfWrittenPages : public TrapMatrix {
protected:
    static constexpr std::uint64_t kWrittenPages = 64;

    [[nodiscard]] Config config() const {
        Config config = config_with(2 * kWrittenPages);
        config.fork = ForkPolicy::inherit;
        return config;
    }

    static void write_all(Region& region, std::uint64_t version) {
        for (std::uint64_t i = 0; i < kWrittenPages; ++i)
            write_word(region.data() + i * region.page_size(), version + i);
    }

    [[nodiscard]] static std::uint64_t pages_without(const Region& region, std::uint64_t version) {
        std::uint64_t wrong = 0;
        for (std::uint64_t i = 0; i < kWrittenPages; ++i) {
            wrong += read_word(region.data() + i * region.page_size()) == version + i ? 0U : 1U;
        }
        return wrong;
    }
};

// The fork writes the second version to the store. What the parent writes then equals what the pages came in with, so
// a checksum of that time would say that nothing has changed.
TEST_P(ForkOfWrittenPages, OlderBytesThatAreWrittenAgainAfterwardsAreNotLost) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kWrittenPages * GetParam().page_size, options());
    write_all(region, 1000);
    evict_all(region);
    EXPECT_EQ(pages_without(region, 1000), 0U);
    write_all(region, 2000);
    const ChildEnd end = in_child([&] { return pages_without(region, 2000) == 0 ? 0 : 1; });
    EXPECT_TRUE(end.exited_with(0)) << end;
    write_all(region, 1000);
    evict_all(region);
    EXPECT_EQ(pages_without(region, 1000), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, ForkOfWrittenPages, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
