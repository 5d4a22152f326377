// access_probe: what the kernel says of pages that a program may not use.
#include "sys/access_probe.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <cstddef>
#include <cstdint>

namespace faultline::sys {
namespace {

constexpr std::size_t kPage = 4096;

/// One page with a protection.
class Page {
public:
    explicit Page(int protection) : at_{::mmap(nullptr, kPage, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)} {}
    ~Page() { ::munmap(at_, kPage); }
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;
    [[nodiscard]] std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(at_); }

private:
    void* at_;
};

TEST(AccessProbe, FollowsTheProtection) {
    const Page open{PROT_READ | PROT_WRITE};
    EXPECT_TRUE(is_readable(open.address()) && is_writable(open.address()));
    const Page read_only{PROT_READ};
    EXPECT_TRUE(is_readable(read_only.address()) && !is_writable(read_only.address()));
    const Page closed{PROT_NONE};
    EXPECT_FALSE(is_readable(closed.address()) || is_writable(closed.address()));
}

TEST(AccessProbe, RefusesPagesThatAreNotMapped) {
    std::uintptr_t gone = 0;
    {
        const Page page{PROT_READ | PROT_WRITE};
        gone = page.address();
    }
    for (const std::uintptr_t page : {std::uintptr_t{0}, gone, std::uintptr_t{0x7fff'ffff'f000}, ~(kPage - 1)}) {
        EXPECT_FALSE(is_readable(page)) << page;
        EXPECT_FALSE(is_writable(page)) << page;
    }
}

TEST(AccessProbe, GrowsTheFirstThreadsStackAsAnAccessWould) {
    // The kernel maps a stack as far as it has been used, and grows it on an access.
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) & ~(kPage - 1);
    EXPECT_TRUE(is_writable(here - (std::size_t{512} << 10)));
}

TEST(AccessProbe, LeavesTheContentsAndTheSignalMask) {
    const Page page{PROT_READ | PROT_WRITE};
    auto* const word = reinterpret_cast<std::uint64_t*>(page.address() + kPage - sizeof(std::uint64_t));
    *word = ~std::uint64_t{0};
    sigset_t before;
    sigprocmask(SIG_SETMASK, nullptr, &before);
    EXPECT_TRUE(is_writable(page.address()));
    sigset_t after;
    sigprocmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(*word, ~std::uint64_t{0});
    for (int signal = 1; signal < 32; ++signal) EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal));
}

}  // namespace
}  // namespace faultline::sys
