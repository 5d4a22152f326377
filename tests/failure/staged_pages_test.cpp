// The kernel has no memory to map a staged page again, or refuses to open it, for longer than the pager waits: the
// access raises SIGBUS or is repeated, and the page stays staged with its bytes, for each page size.

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

constexpr std::size_t kStagedPages = 4;

class StagedPages : public testing::TestWithParam<std::size_t> {};

/// Dirty pages that stay staged, because the store fails to write them.
struct Staged {
    explicit Staged(const Variant& variant) : fake{variant, plain_config(variant), kStagedPages, 2 * kStagedPages} {
        for (std::size_t page = 0; page < kStagedPages; ++page) std::memset(fake.page(page), 0x5a, fake.page_bytes());
        fake.store().write_error.store(ENOSPC);
        fake.evict_all();
    }
    FaultCatcher catcher;
    FakePager fake;
};

/// Reads a page until the read raises no SIGBUS. Returns 0 if the first read raised SIGBUS, every page stayed staged,
/// and the last read found the bytes written.
int read_until_it_comes(Staged& staged) {
    const std::size_t bytes = staged.fake.page_bytes();
    const std::byte* const page = staged.fake.page(1);
    if (staged.fake.settled_stats().staged_bytes != kStagedPages * bytes) return 1;
    if (FaultCatcher::read(page) != Caught{SIGBUS, BUS_ADRERR, page}) return 2;
    if (staged.fake.settled_stats().staged_bytes != kStagedPages * bytes) return 3;
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

// More tries than fit into the two seconds that a fault waits, with a sleep of 1 ms between two tries.
constexpr unsigned kTries = 2500;

TEST_P(StagedPages, PageStaysStagedWhileTheKernelHasNoMemoryToMapIt) {
    const Variant variant{Delivery::uffd_signal, Eviction::copy, Replacement::second_chance, GetParam()};
    if (const std::string why = why_not_here(variant.delivery); !why.empty()) GTEST_SKIP() << why;
    const Injection no_memory{SYS_ioctl, static_cast<std::uint32_t>(UFFDIO_COPY), ENOMEM, 1, 1, kTries};
    const auto result = in_child_with(no_memory, [&] {
        auto staged = std::make_shared<Staged>(variant);
        return [staged] { return read_until_it_comes(*staged); };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_GT(result->failed, 0U);
}

TEST_P(StagedPages, PageComesBackOnceTheKernelNoLongerRefusesToOpenIt) {
    const Variant variant{Delivery::sigsegv, Eviction::protect, Replacement::second_chance, GetParam()};
    const Injection not_now{SYS_mprotect, std::nullopt, EAGAIN, 1, 1, kTries};
    const auto result = in_child_with(not_now, [&] {
        auto staged = std::make_shared<Staged>(variant);
        return [staged] { return read_a_page(*staged); };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_EQ(result->failed, kTries);
}

INSTANTIATE_TEST_SUITE_P(PageSizes, StagedPages, testing::Values(4096U, 65536U),
                         [](const auto& one) { return std::to_string(one.param / 1024) + "K"; });

}  // namespace
}  // namespace faultline::test
