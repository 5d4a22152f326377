// Clones of address spaces: each has what the space had, and goes its own way.
#include "space/space_fixture.hpp"

#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

class Clone : public SpaceTest {
protected:
    static constexpr std::size_t kPages = 200;  // three times what may be resident
};

TEST_P(Clone, HasWhatTheSpaceHadAndEachGoesItsOwnWay) {
    AddressSpace space{pager()};
    std::byte* const at = space.map_anonymous(kPages * kPage);
    for (std::size_t page = 0; page < kPages; ++page) store_word(at + page * kPage, stamp(page));
    AddressSpace clone = space.clone();
    std::byte* const there = clone.counterpart(space, at);
    EXPECT_NE(there, at);
    for (std::size_t page = 0; page < kPages; page += 3) store_word(at + page * kPage, stamp(page, 1));
    for (std::size_t page = 0; page < kPages; page += 2) store_word(there + page * kPage, stamp(page, 2));
    for (std::size_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(at + page * kPage), stamp(page, page % 3 == 0 ? 1 : 0)) << page;
        EXPECT_EQ(load_word(there + page * kPage), stamp(page, page % 2 == 0 ? 2 : 0)) << page;
    }
}

INSTANTIATE_TEST_SUITE_P(Deliveries, Clone, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
