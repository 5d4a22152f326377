// A program that closes descriptors which are not its own, as code that daemonizes or prepares for exec does.

#include "life/life_support.hpp"

#include <gmock/gmock.h>

#include <sys/syscall.h>

namespace faultline::test {
namespace {

class Descriptors : public LifeMatrix {};

/// With the userfaultfd gone the kernel would let every absent page read as zeros. In signal delivery it does: nobody
/// is there to notice.
TEST_P(Descriptors, ClosingAllEndsTheProcessAndGivesNoZeros) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict&) {
        ::syscall(SYS_close_range, 3, ~0U, 0);
        for (std::uint64_t unit = 0;; unit = (unit + 1) % units_of(region)) {  // until somebody ends it
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
