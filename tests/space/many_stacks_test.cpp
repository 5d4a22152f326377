// As many stacks as the documentation promises: each has its guard, and they take no mappings of the kernel's.

#include "space/stack_support.hpp"
#include "support/process.hpp"

#include <faultline/alternate_stack.hpp>

namespace faultline::test {
namespace {

class ManyStacks : public TrapMatrix {};

TEST_P(ManyStacks, HundredThousandHaveGuardsAndTakeNoMappings) {
    if (kThreadSanitized) GTEST_SKIP() << "ThreadSanitizer adds mappings of its own";
    constexpr std::size_t kStacks = kSanitized ? 5'000 : 100'000;
    Config config = config_with(65536);
    config.background_evictor = false;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = kStacks}};
    const AlternateStack alternate;
    const std::size_t before = mappings();
    std::vector<GuardedStack> stacks;
    stacks.reserve(kStacks);
    for (std::size_t i = 0; i < kStacks; ++i) stacks.push_back(pool.take());
    EXPECT_LT(mappings(), before + 20);
    for (std::size_t i = 0; i < kStacks; i += kStacks / 10) {
        expect_overflow_of(stacks[i].run([] { descend_for_ever(nullptr); }), stacks[i].memory());
    }
}

INSTANTIATE_TEST_SUITE_P(Deliveries, ManyStacks,
                         testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                         Variant{Delivery::sigsegv, Eviction::guard}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
