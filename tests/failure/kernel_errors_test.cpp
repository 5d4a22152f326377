// One system call of the pager fails now and then, while a program writes and reads four times its limit. A temporary
// error loses no page, does not end the process, and is logged.

#include "failure/failure_support.hpp"
#include "support/injection.hpp"
#include "sys/io_ring.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <ostream>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::uint32_t kUffdioMove = 0xc028aa05;  // UFFDIO_MOVE, which older headers lack

struct Case {
    const char* label;
    Delivery delivery;
    Eviction eviction;
    Injection injection;
    bool rings = true;  // without, the pager reads by pread(2)
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.label; }

/// A region whose pages have all been written once, so that most of them are evicted.
class Life {
public:
    explicit Life(const Case& one) : pager_{config(one)}, region_{pager_.reserve(kPages * kBasePageBytes)} {
        for (std::size_t page = 0; page < kPages; ++page) write(page, page + 1);
    }

    /// Reads every page, so that it leaves unchanged and comes back write-protected; then reads and rewrites every page
    /// three times. Returns how many reads did not find the value written last.
    [[nodiscard]] std::size_t wrong_pages() {
        std::size_t wrong = 0;
        std::uint64_t version = 1;
        for (std::size_t page = 0; page < kPages; ++page) wrong += read(page) == page + version ? 0U : 1U;
        for (int round = 0; round < 3; ++round) {
            for (std::size_t page = 0; page < kPages; ++page) {
                wrong += read(page) == page + version ? 0U : 1U;
                write(page, page + version + 1000);
            }
            version += 1000;
        }
        return wrong;
    }

private:
    static constexpr std::size_t kPages = 4 * kSmallLimit / kBasePageBytes;

    static Config config(const Case& one) {
        Config config = small_config(one.delivery);
        config.eviction = one.eviction;
        config.log = [](LogLevel level, std::string_view message) {
            if (level != LogLevel::info) std::cerr << message << std::endl;
        };
        return config;
    }
    void write(std::size_t page, std::uint64_t value) { *word(page) = value; }
    [[nodiscard]] std::uint64_t read(std::size_t page) { return *word(page); }
    [[nodiscard]] volatile std::uint64_t* word(std::size_t page) {
        return reinterpret_cast<volatile std::uint64_t*>(region_.data() + page * kBasePageBytes);
    }

    Pager pager_;
    Region region_;
};

/// Makes io_uring_setup(2) fail until the process ends.
void forbid_rings() {
    std::array rules{
        sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_io_uring_setup},
        sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
        sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const sock_fprog program{rules.size(), rules.data()};
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0);
}

class KernelErrors : public testing::TestWithParam<Case> {
protected:
    void SetUp() override {
        const std::string reason = why_not_here(GetParam().delivery);
        if (!reason.empty()) GTEST_SKIP() << reason;
    }
};

TEST_P(KernelErrors, TemporaryErrorLosesNoPageAndDoesNotEndTheProcess) {
    const auto result = in_child_with(GetParam().injection, [] {
        if (!GetParam().rings) forbid_rings();
        auto life = std::make_shared<Life>(GetParam());
        return [life] { return life->wrong_pages() == 0 ? 0 : 1; };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_GT(result->failed, 0U) << "no call failed; " << result->calls << " calls matched";
}

constexpr Injection ioctl_that_fails(std::uint32_t request, int error) {
    return {.call = SYS_ioctl, .argument = request, .error = error, .first = 3, .every = 17};
}
constexpr Injection call_that_fails(long call, int error) {
    return {.call = call, .error = error, .first = 3, .every = 17};
}

constexpr std::uint32_t kCopy = UFFDIO_COPY;
constexpr std::uint32_t kProtect = UFFDIO_WRITEPROTECT;

INSTANTIATE_TEST_SUITE_P(
    All, KernelErrors,
    testing::Values(
        Case{"uffd_signal_COPY_ENOMEM", Delivery::uffd_signal, Eviction::automatic, ioctl_that_fails(kCopy, ENOMEM)},
        Case{"uffd_signal_COPY_EBUSY", Delivery::uffd_signal, Eviction::automatic, ioctl_that_fails(kCopy, EBUSY)},
        Case{"uffd_signal_COPY_EAGAIN", Delivery::uffd_signal, Eviction::automatic, ioctl_that_fails(kCopy, EAGAIN)},
        Case{"uffd_threads_COPY_ENOMEM", Delivery::uffd_threads, Eviction::automatic, ioctl_that_fails(kCopy, ENOMEM)},
        Case{"uffd_signal_MOVE_ENOMEM", Delivery::uffd_signal, Eviction::automatic,
             ioctl_that_fails(kUffdioMove, ENOMEM)},
        Case{"uffd_signal_MOVE_EBUSY", Delivery::uffd_signal, Eviction::automatic,
             ioctl_that_fails(kUffdioMove, EBUSY)},
        Case{"uffd_signal_copy_COPY_ENOMEM", Delivery::uffd_signal, Eviction::copy, ioctl_that_fails(kCopy, ENOMEM)},
        Case{"uffd_signal_WRITEPROTECT_ENOMEM", Delivery::uffd_signal, Eviction::automatic,
             ioctl_that_fails(kProtect, ENOMEM)},
        Case{"uffd_signal_copy_WRITEPROTECT_EBUSY", Delivery::uffd_signal, Eviction::copy,
             ioctl_that_fails(kProtect, EBUSY)},
        Case{"uffd_signal_madvise_EAGAIN", Delivery::uffd_signal, Eviction::copy, call_that_fails(SYS_madvise, EAGAIN)},
        Case{"uffd_signal_madvise_ENOMEM", Delivery::uffd_signal, Eviction::copy, call_that_fails(SYS_madvise, ENOMEM)},
        Case{"uffd_signal_pread_ENOMEM", Delivery::uffd_signal, Eviction::automatic,
             call_that_fails(SYS_pread64, ENOMEM), false},
        Case{"uffd_signal_pread_EIO", Delivery::uffd_signal, Eviction::automatic, call_that_fails(SYS_pread64, EIO),
             false},
        Case{"uffd_signal_ring_EAGAIN", Delivery::uffd_signal, Eviction::automatic,
             call_that_fails(SYS_io_uring_enter, EAGAIN)},
        Case{"uffd_signal_ring_EINTR", Delivery::uffd_signal, Eviction::automatic,
             call_that_fails(SYS_io_uring_enter, EINTR)},
        Case{"uffd_signal_pwrite_ENOMEM", Delivery::uffd_signal, Eviction::automatic,
             call_that_fails(SYS_pwrite64, ENOMEM)},
        Case{"uffd_signal_pwrite_ENOSPC", Delivery::uffd_signal, Eviction::automatic,
             call_that_fails(SYS_pwrite64, ENOSPC)},
        Case{"sigsegv_pread_EIO", Delivery::sigsegv, Eviction::automatic, call_that_fails(SYS_pread64, EIO)},
        Case{"sigsegv_pread_ENOMEM", Delivery::sigsegv, Eviction::automatic, call_that_fails(SYS_pread64, ENOMEM)},
        Case{"sigsegv_pwrite_ENOMEM", Delivery::sigsegv, Eviction::automatic, call_that_fails(SYS_pwrite64, ENOMEM)},
        Case{"sigsegv_fallocate_ENOMEM", Delivery::sigsegv, Eviction::automatic,
             call_that_fails(SYS_fallocate, ENOMEM)},
        Case{"sigsegv_madvise_EAGAIN", Delivery::sigsegv, Eviction::automatic, call_that_fails(SYS_madvise, EAGAIN)},
        Case{"sigsegv_madvise_ENOMEM", Delivery::sigsegv, Eviction::automatic, call_that_fails(SYS_madvise, ENOMEM)},
        Case{"sigsegv_protect_mprotect_ENOMEM", Delivery::sigsegv, Eviction::protect,
             call_that_fails(SYS_mprotect, ENOMEM)},
        Case{"sigsegv_protect_mprotect_EAGAIN", Delivery::sigsegv, Eviction::protect,
             call_that_fails(SYS_mprotect, EAGAIN)}),
    [](const auto& one) { return std::string{one.param.label}; });

/// Writes pages to a file and reads them back through a ring, as the evictor's and the reader's threads do. Returns the
/// number of failed transfers.
std::size_t wrong_transfers(sys::IoRing& ring, int file) {
    std::size_t wrong = 0;
    std::vector<std::byte> bytes(kBasePageBytes);
    const auto whole = static_cast<long>(bytes.size());
    for (int round = 1; round <= 20; ++round) {
        std::fill(bytes.begin(), bytes.end(), static_cast<std::byte>(round));
        const iovec part{bytes.data(), bytes.size()};
        wrong += ring.queue_write(file, {&part, 1}, 0, &ring) ? 0U : 1U;
        ring.submit();
        wrong += ring.wait().result == whole ? 0U : 1U;
        std::fill(bytes.begin(), bytes.end(), std::byte{0});
        wrong += ring.queue_read(file, bytes, 0, &ring) ? 0U : 1U;
        wrong += ring.submit_all() ? 0U : 1U;
        std::optional<sys::IoRing::Completion> read;
        while (!read) read = ring.wait_for(std::chrono::seconds{1});
        wrong += read->result == whole && bytes.front() == static_cast<std::byte>(round) ? 0U : 1U;
    }
    return wrong;
}

class RingErrors : public testing::TestWithParam<int> {};

TEST_P(RingErrors, TemporaryErrorLosesNoTransfer) {
    if (!sys::IoRing::open(4)) GTEST_SKIP() << "no io_uring here";
    const Injection injection{.call = SYS_io_uring_enter, .error = GetParam(), .first = 1, .every = 2};
    const auto result = in_child_with(injection, [] {
        auto ring = std::make_shared<sys::IoRing>(sys::IoRing::open(4));
        const int file = ::memfd_create("transfers", MFD_CLOEXEC);
        return [ring, file] { return file >= 0 && wrong_transfers(*ring, file) == 0 ? 0 : 1; };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_GT(result->failed, 0U) << "no call failed; " << result->calls << " calls matched";
}

INSTANTIATE_TEST_SUITE_P(All, RingErrors, testing::Values(ENOMEM, EBUSY, EAGAIN, EINTR),
                         [](const auto& one) { return std::string{::strerrorname_np(one.param)}; });

TEST(KernelErrorsTold, TemporaryErrorIsLogged) {
    const auto result = in_child_with(call_that_fails(SYS_pread64, ENOMEM), [] {
        auto life = std::make_shared<Life>(Case{"", Delivery::sigsegv, Eviction::automatic, {}});
        return [life] { return life->wrong_pages() == 0 ? 0 : 1; };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_NE(result->end.said.find("pread of the memory file: Cannot allocate memory"), std::string::npos)
        << result->end;
}

}  // namespace
}  // namespace faultline::test
