// A staged page that the kernel has no memory to map again, for longer than the pager waits: the access gets SIGBUS
// or is repeated, and the page stays where it is, with its bytes, whatever its size.

#include "failure/failure_support.hpp"
#include "pager/fake_store.hpp"
#include "support/fault_catcher.hpp"
#include "support/injection.hpp"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::size_t kPages = 4;

class StagedPages : public testing::TestWithParam<std::size_t> {};

/// Pages that were written to, and are staged, since the store does not take them.
struct Staged {
    explicit Staged(const Variant& variant) : fake{variant, plain_config(variant), kPages, 2 * kPages} {
        for (std::size_t page = 0; page < kPages; ++page) std::memset(fake.page(page), 0x5a, fake.page_bytes());
        fake.store().write_error.store(ENOSPC);
        fake.evict_all();
    }
    FaultCatcher catcher;
    FakePager fake;
};

/// Reads until there is no SIGBUS. Returns 0 if there was one, and then what was written.
int read_until_it_comes(Staged& staged) {
    const std::size_t bytes = staged.fake.page_bytes();
    const std::byte* const page = staged.fake.page(1);
    if (staged.fake.settled_stats().staged_bytes != kPages * bytes) return 1;
    if (FaultCatcher::read(page) != Caught{SIGBUS, BUS_ADRERR, page}) return 2;
    if (staged.fake.settled_stats().staged_bytes != kPages * bytes) return 3;
    while (FaultCatcher::read(page).signal == SIGBUS) {
    }
    const std::vector<std::byte> wanted(bytes, std::byte{0x5a});
    return std::memcmp(page, wanted.data(), bytes) == 0 ? 0 : 4;
}

/// Returns 0 if a page is what was written, once an access succeeds.
int read_a_page(Staged& staged) {
    const std::byte* const page = staged.fake.page(1);
    if (FaultCatcher::read(page).signal != 0) return 1;
    const std::vector<std::byte> wanted(staged.fake.page_bytes(), std::byte{0x5a});
    return std::memcmp(page, wanted.data(), wanted.size()) == 0 ? 0 : 2;
}

// More than can be tried in the two seconds that a fault waits: it sleeps for a millisecond between two tries.
constexpr unsigned kTries = 2500;

TEST_P(StagedPages, StayStagedWhenTheKernelHasNoMemoryToMapThem) {
    const Variant variant{Delivery::uffd_signal, Eviction::copy, Replacement::second_chance, GetParam()};
    if (const std::string why = why_not_here(variant.delivery); !why.empty()) GTEST_SKIP() << why;
    const Injection no_memory{SYS_ioctl, static_cast<std::uint32_t>(UFFDIO_COPY), ENOMEM, 1, 1, kTries};
    const auto result = in_child_with(no_memory, [&] {
        auto staged = std::make_shared<Staged>(variant);
        return [staged] { return read_until_it_comes(*staged); };
    });
    if (!result) GTEST_SKIP() << "this kernel lets nobody answer for it";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_GT(result->failed, 0U);
}

TEST_P(StagedPages, ComeBackInTheEndWhenTheKernelRefusesForLongToOpenThem) {
    const Variant variant{Delivery::sigsegv, Eviction::protect, Replacement::second_chance, GetParam()};
    const Injection not_now{SYS_mprotect, std::nullopt, EAGAIN, 1, 1, kTries};
    const auto result = in_child_with(not_now, [&] {
        auto staged = std::make_shared<Staged>(variant);
        return [staged] { return read_a_page(*staged); };
    });
    if (!result) GTEST_SKIP() << "this kernel lets nobody answer for it";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_EQ(result->failed, kTries);
}

INSTANTIATE_TEST_SUITE_P(PageSizes, StagedPages, testing::Values(4096U, 65536U),
                         [](const auto& one) { return std::to_string(one.param / 1024) + "K"; });

}  // namespace
}  // namespace faultline::test
