// A program closes every descriptor above 2, as code that daemonizes or prepares for exec does.

#include "life/life_support.hpp"

#include <gmock/gmock.h>

#include <sys/syscall.h>

namespace faultline::test {
namespace {

class Descriptors : public LifeMatrix {};

/// Without the userfaultfd every absent page would read as zeros. Signal delivery has no thread that could notice that,
/// so the test covers thread delivery only.
TEST_P(Descriptors, ClosingAllDescriptorsEndsTheProcessBeforeItReadsZeros) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict&) {
        ::syscall(SYS_close_range, 3, ~0U, 0);
        for (std::uint64_t unit = 0;; unit = (unit + 1) % units_of(region)) {  // until the pager ends the process
            const std::uint64_t found = read_word(region.data() + unit * kBasePageBytes);
            if (found != word_of_unit(unit)) ::_exit(1);
        }
    });
    EXPECT_TRUE(end.killed_by(SIGABRT)) << end;
    EXPECT_THAT(end.said, testing::HasSubstr("faultline: "));
}

INSTANTIATE_TEST_SUITE_P(Matrix, Descriptors, testing::ValuesIn(variants_of(Delivery::uffd_threads)), VariantName{});

}  // namespace
}  // namespace faultline::test
