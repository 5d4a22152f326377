// Accesses that a region's protection forbids, instruction fetches included, raise SIGSEGV each time, and are not
// repeated for ever.
#include "pager/pager_fixture.hpp"
#include "support/fault_catcher.hpp"

#include <cstring>

namespace faultline::test {
namespace {

// mov eax, 42; ret
constexpr unsigned char kCode[] = {0xb8, 42, 0, 0, 0, 0xc3};

int call(const std::byte* address) { return reinterpret_cast<int (*)()>(reinterpret_cast<std::uintptr_t>(address))(); }

class ForbiddenAccess : public VariantTest {
protected:
    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        pager_.emplace(config_for(GetParam(), std::size_t{64} << 20));
        region_ = pager_->reserve(8 * GetParam().page_size, {.page_size = GetParam().page_size});
    }
    [[nodiscard]] std::byte* page(std::size_t index) const { return region_.data() + index * region_.page_size(); }
    void evict() { region_.advise(region_.data(), region_.size(), Advice::dontneed); }

    FaultCatcher catcher_;
    std::optional<Pager> pager_;
    Region region_;
};

TEST_P(ForbiddenAccess, CodeRunsWhereItMayAndItsPageMayLeaveAndComeBack) {
    std::memcpy(page(2) + 64, kCode, sizeof kCode);
    region_.protect(page(2), region_.page_size(), Access::read_execute);
    EXPECT_EQ(call(page(2) + 64), 42);
    evict();
    EXPECT_EQ(call(page(2) + 64), 42);
    EXPECT_EQ(FaultCatcher::write(page(2)).signal, SIGSEGV);
    EXPECT_EQ(call(page(2) + 64), 42);
}

TEST_P(ForbiddenAccess, CodeDoesNotRunWhereItMayNot) {
    std::memcpy(page(1), kCode, sizeof kCode);
    for (const Access access : {Access::read_write, Access::read}) {
        region_.protect(page(1), region_.page_size(), access);
        const Caught resident = FaultCatcher::execute(page(1));
        EXPECT_EQ(resident.signal, SIGSEGV);
        EXPECT_EQ(resident.address, page(1));
        evict();
        EXPECT_EQ(FaultCatcher::execute(page(1)).signal, SIGSEGV);
    }
    EXPECT_EQ(FaultCatcher::execute(page(5)).signal, SIGSEGV);  // never touched
}

TEST_P(ForbiddenAccess, WhatMayBeExecutedNoLongerDoesNotRunAndWhatMayBeWrittenAgainIs) {
    std::memcpy(page(3), kCode, sizeof kCode);
    region_.protect(page(3), region_.page_size(), Access::read_execute);
    EXPECT_EQ(call(page(3)), 42);
    region_.protect(page(3), region_.page_size(), Access::read_write);
    EXPECT_EQ(FaultCatcher::execute(page(3)).signal, SIGSEGV);
    page(3)[1] = std::byte{43};
    region_.protect(page(3), region_.page_size(), Access::read_execute);
    EXPECT_EQ(call(page(3)), 43);
}

TEST_P(ForbiddenAccess, IsDeliveredAlsoWhileAPagerLivesThatTakesSigsegvItself) {
    const Pager other{config_for({Delivery::sigsegv, Eviction::automatic}, Pager::kMinimumPages * kBasePageBytes)};
    store_word(page(0), 7);
    region_.protect(page(0), region_.page_size(), Access::read);
    const Caught caught = FaultCatcher::write(page(0) + 9);
    EXPECT_EQ(caught.signal, SIGSEGV);
    EXPECT_EQ(caught.address, page(0) + 9);
    EXPECT_EQ(load_word(page(0)), 7U);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, ForbiddenAccess, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});
INSTANTIATE_TEST_SUITE_P(LargePages, ForbiddenAccess,
                         ::testing::ValuesIn(deliveries_and_evictions(Replacement::second_chance,
                                                                      std::size_t{2} << 20)),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
