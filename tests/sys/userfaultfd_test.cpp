// Userfaultfd: range calls complete partial results of the kernel and return how far they came. Skipped where the
// kernel or the administrator does not allow userfaultfd.
#include "sys/userfaultfd.hpp"

#include "core/units.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace faultline::test {
namespace {

using sys::Mapping;
using sys::Userfaultfd;

constexpr std::size_t kPage = core::kUnitBytes;
constexpr std::size_t kPages = 8;

/// Opens a userfaultfd, or returns why it cannot.
std::optional<Userfaultfd> open_or_explain(Userfaultfd::Notify notify, std::string& why) {
    try {
        return std::optional<Userfaultfd>{std::in_place, notify};
    } catch (const std::system_error& error) {
        why = error.what();
        return std::nullopt;
    }
}

Mapping reserve(std::size_t pages) { return Mapping::reserve(pages * kPage, kPage, false, "test pages"); }

/// Pages that hold 1, 2, 3...
Mapping numbered_pages() {
    Mapping pages = reserve(kPages);
    for (std::size_t page = 0; page < kPages; ++page) {
        std::fill_n(pages.data() + page * kPage, kPage, static_cast<std::byte>(page + 1));
    }
    return pages;
}

bool is_present(const std::byte* page) {
    unsigned char resident = 0;
    EXPECT_EQ(::mincore(const_cast<std::byte*>(page), kPage, &resident), 0);
    return (resident & 1U) != 0;
}

// An access that may raise SIGBUS: the handler leaves by siglongjmp and records the siginfo.
sigjmp_buf way_out_of_read;
siginfo_t bus_error;
void on_bus_error(int, siginfo_t* info, void*) {
    bus_error = *info;
    siglongjmp(way_out_of_read, 1);
}

class UserfaultfdTest : public testing::Test {
protected:
    void SetUp() override {
        std::string why;
        uffd_ = open_or_explain(Userfaultfd::Notify::by_sigbus, why);
        if (!uffd_) GTEST_SKIP() << why;
        view_ = reserve(kPages);
        uffd_->watch(view_.data(), view_.size(), true);
        struct sigaction action {};
        action.sa_sigaction = on_bus_error;
        action.sa_flags = SA_SIGINFO;
        ASSERT_EQ(::sigaction(SIGBUS, &action, &before_), 0);
    }
    void TearDown() override {
        if (uffd_) ::sigaction(SIGBUS, &before_, nullptr);
    }

    [[nodiscard]] std::byte* page(std::size_t number) const { return view_.data() + number * kPage; }

    static bool can_read(const std::byte* address) {
        if (sigsetjmp(way_out_of_read, 1) != 0) return false;
        static_cast<void>(*static_cast<const volatile std::byte*>(address));
        return true;
    }
    static bool can_write(std::byte* address) {
        if (sigsetjmp(way_out_of_read, 1) != 0) return false;
        *static_cast<volatile std::byte*>(address) = std::byte{99};
        return true;
    }
    void expect_number(std::size_t number) const {
        ASSERT_TRUE(is_present(page(number))) << "page " << number;
        const bool all = std::all_of(page(number), page(number) + kPage,
                                     [number](std::byte byte) { return byte == static_cast<std::byte>(number + 1); });
        EXPECT_TRUE(all) << "page " << number;
    }

    std::optional<Userfaultfd> uffd_;
    Mapping view_;
    Mapping source_ = numbered_pages();

private:
    struct sigaction before_ {};
};

TEST_F(UserfaultfdTest, RaisesSigbusAtTheExactAddressOfAMissingPage) {
    EXPECT_FALSE(can_read(page(3) + 123));
    EXPECT_EQ(bus_error.si_addr, page(3) + 123);
    EXPECT_EQ(bus_error.si_code, BUS_ADRERR);
    EXPECT_FALSE(is_present(page(3)));
}

TEST_F(UserfaultfdTest, CopiesAWholeRange) {
    EXPECT_EQ(uffd_->copy(page(0), source_.data(), kPages * kPage, false), 0);
    for (std::size_t number = 0; number < kPages; ++number) expect_number(number);
    EXPECT_TRUE(can_write(page(0)));
}

TEST_F(UserfaultfdTest, StopsCopyingWhereSomethingIsMapped) {
    ASSERT_EQ(uffd_->copy(page(4), source_.data() + 4 * kPage, kPage, false), 0);
    ASSERT_TRUE(can_write(page(4)));
    EXPECT_EQ(uffd_->copy(page(0), source_.data(), kPages * kPage, false), EEXIST);
    for (std::size_t number = 0; number < 4; ++number) expect_number(number);
    EXPECT_EQ(*page(4), std::byte{99}) << "what was there stays";
    for (std::size_t number = 5; number < kPages; ++number) EXPECT_FALSE(is_present(page(number)));
}

TEST_F(UserfaultfdTest, CopiesAcrossAChangeOfProtection) {
    ASSERT_EQ(sys::set_access(page(3), 2 * kPage, Access::read), 0);
    EXPECT_EQ(uffd_->copy(page(0), source_.data(), kPages * kPage, false), 0);
    for (std::size_t number = 0; number < kPages; ++number) expect_number(number);
}

TEST_F(UserfaultfdTest, CopiesWriteProtected) {
    ASSERT_EQ(uffd_->copy(page(0), source_.data(), 2 * kPage, true), 0);
    expect_number(0);
    EXPECT_FALSE(can_write(page(0) + 8));
    EXPECT_EQ(bus_error.si_addr, page(0) + 8);
    expect_number(0);
}

TEST_F(UserfaultfdTest, ProtectsAndUnprotects) {
    ASSERT_EQ(uffd_->copy(page(0), source_.data(), 3 * kPage, false), 0);
    EXPECT_EQ(uffd_->write_protect(page(1), kPage, true), 0);
    EXPECT_TRUE(can_write(page(0)));
    EXPECT_FALSE(can_write(page(1)));
    EXPECT_TRUE(can_write(page(2)));
    EXPECT_EQ(uffd_->write_protect(page(1), kPage, false), 0);
    EXPECT_TRUE(can_write(page(1)));
}

TEST_F(UserfaultfdTest, ReturnsTheErrorOfARangeItDoesNotWatch) {
    const Mapping unwatched = reserve(1);
    EXPECT_EQ(uffd_->copy(unwatched.data(), source_.data(), kPage, false), ENOENT);
    EXPECT_NE(uffd_->write_protect(unwatched.data(), kPage, true), 0);
}

TEST_F(UserfaultfdTest, MovesFramesAndTheirBytes) {
    if (!uffd_->has(sys::abi::kFeatureMove)) GTEST_SKIP() << "no UFFDIO_MOVE in this kernel";
    std::size_t moved = 0;
    EXPECT_EQ(uffd_->move(page(0), source_.data(), kPages * kPage, &moved), 0);
    EXPECT_EQ(moved, kPages * kPage);
    for (std::size_t number = 0; number < kPages; ++number) {
        expect_number(number);
        EXPECT_FALSE(is_present(source_.data() + number * kPage));
    }
    EXPECT_TRUE(can_write(page(0)));
}

TEST_F(UserfaultfdTest, SaysHowFarAMoveCame) {
    if (!uffd_->has(sys::abi::kFeatureMove)) GTEST_SKIP() << "no UFFDIO_MOVE in this kernel";
    const Mapping other = numbered_pages();
    ASSERT_EQ(uffd_->copy(page(3), other.data(), kPage, false), 0);
    std::size_t moved = 0;
    EXPECT_EQ(uffd_->move(page(0), source_.data(), kPages * kPage, &moved), EEXIST);
    EXPECT_EQ(moved, 3 * kPage);
    for (std::size_t number = 0; number < 3; ++number) expect_number(number);
    EXPECT_TRUE(is_present(source_.data() + 3 * kPage)) << "what did not go is where it was";
}

/// Moves one page without the wrapper, so that the wrapper meets a page that the kernel moved without reporting it.
bool move_unreported(const Userfaultfd& uffd, std::byte* destination, std::byte* source) {
    sys::abi::UffdioMove request{};
    request.destination = core::address_of(destination);
    request.source = core::address_of(source);
    request.length = kPage;
    return ::ioctl(uffd.fd(), sys::abi::kUffdioMove, &request) == 0;
}

TEST_F(UserfaultfdTest, MoveCountsPagesThatTheKernelHasMovedWithoutReportingThem) {
    if (!uffd_->has(sys::abi::kFeatureMove)) GTEST_SKIP() << "this kernel does not move pages";
    for (const std::size_t unreported : {0U, 1U, 5U}) {
        ASSERT_TRUE(move_unreported(*uffd_, page(unreported), source_.data() + unreported * kPage));
    }
    std::size_t moved = 0;
    EXPECT_EQ(uffd_->move(page(0), source_.data(), kPages * kPage, &moved), 0);
    EXPECT_EQ(moved, kPages * kPage);
    for (std::size_t number = 0; number < kPages; ++number) {
        expect_number(number);
        EXPECT_FALSE(is_present(source_.data() + number * kPage));
    }
}

TEST_F(UserfaultfdTest, PoisonRaisesSigbusUntilItIsDropped) {
    const int error = uffd_->poison(page(2), 2 * kPage);
    if (!uffd_->has(sys::abi::kFeaturePoison)) {
        EXPECT_EQ(error, EINVAL);
        return;
    }
    ASSERT_EQ(error, 0);
    EXPECT_FALSE(can_read(page(2)));
    EXPECT_FALSE(can_write(page(3)));
    ASSERT_EQ(::madvise(page(2), 2 * kPage, MADV_DONTNEED), 0);
    EXPECT_EQ(uffd_->copy(page(2), source_.data() + 2 * kPage, 2 * kPage, false), 0);
    expect_number(2);
}

TEST_F(UserfaultfdTest, RefusesToPoisonAPageThatIsMapped) {
    if (!uffd_->has(sys::abi::kFeaturePoison)) GTEST_SKIP() << "no UFFDIO_POISON in this kernel";
    ASSERT_EQ(uffd_->copy(page(2), source_.data() + 2 * kPage, kPage, false), 0);
    EXPECT_EQ(uffd_->poison(page(2), kPage), EEXIST);
    expect_number(2);
}

TEST_F(UserfaultfdTest, SaysWhatItCouldNotWatch) {
    std::string why;
    auto another = open_or_explain(Userfaultfd::Notify::by_sigbus, why);
    ASSERT_TRUE(another) << why;
    try {
        another->watch(view_.data(), view_.size(), true);
        FAIL() << "one range cannot be watched twice";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EBUSY);
        EXPECT_THAT(error.what(), testing::HasSubstr("32.0 KiB"));
    }
}

/// Faults arrive as messages, including faults of the kernel's own accesses.
class UserfaultfdMessages : public testing::Test {
protected:
    void SetUp() override {
        std::string why;
        uffd_ = open_or_explain(Userfaultfd::Notify::by_message, why);
        if (!uffd_) GTEST_SKIP() << why;
        view_ = reserve(kPages);
        uffd_->watch(view_.data(), view_.size(), true);
    }

    /// Reads the next message, which must be a page fault.
    uffd_msg next_fault() {
        uffd_msg message{};
        EXPECT_EQ(uffd_->read(&message), 0);
        EXPECT_EQ(message.event, UFFD_EVENT_PAGEFAULT);
        return message;
    }

    std::optional<Userfaultfd> uffd_;
    Mapping view_;
    Mapping source_ = numbered_pages();
};

TEST_F(UserfaultfdMessages, TellAddressAndAccessAndCopyWakes) {
    std::byte* const address = view_.data() + 2 * kPage + 17;
    std::byte read{};
    std::thread reader{[&] { read = *static_cast<volatile std::byte*>(address); }};
    const uffd_msg message = next_fault();
    EXPECT_EQ(message.arg.pagefault.address, core::address_of(address));
    EXPECT_EQ(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE, 0U);
    EXPECT_EQ(uffd_->copy(view_.data() + 2 * kPage, source_.data(), kPage, true), 0);
    reader.join();
    EXPECT_EQ(read, std::byte{1});
}

TEST_F(UserfaultfdMessages, TellWritesToProtectedPages) {
    ASSERT_EQ(uffd_->copy(view_.data(), source_.data(), kPage, true), 0);
    std::thread writer{[&] { *static_cast<volatile std::byte*>(view_.data()) = std::byte{50}; }};
    const uffd_msg message = next_fault();
    EXPECT_EQ(message.arg.pagefault.address, core::address_of(view_.data()));
    EXPECT_NE(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP, 0U);
    EXPECT_EQ(uffd_->write_protect(view_.data(), kPage, false), 0);
    writer.join();
    EXPECT_EQ(*view_.data(), std::byte{50});
}

TEST_F(UserfaultfdMessages, ComeFromSystemCallsToo) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    ssize_t got = 0;
    std::thread reader{[&] { got = ::read(ends[0], view_.data() + kPage, 1); }};
    EXPECT_EQ(next_fault().arg.pagefault.address, core::address_of(view_.data() + kPage));
    EXPECT_EQ(uffd_->copy(view_.data() + kPage, source_.data(), kPage, false), 0);
    reader.join();
    EXPECT_EQ(got, 1);
    EXPECT_EQ(view_.data()[kPage], static_cast<std::byte>('x'));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(UserfaultfdMessages, WakeLetsAThreadLookAgain) {
    std::byte read{};
    std::thread reader{[&] { read = *static_cast<volatile std::byte*>(view_.data()); }};
    static_cast<void>(next_fault());
    uffd_->wake(view_.data(), kPage);
    static_cast<void>(next_fault());  // the kernel looked again, found no page, and repeats the message
    EXPECT_EQ(uffd_->copy(view_.data(), source_.data(), kPage, false), 0);
    reader.join();
    EXPECT_EQ(read, std::byte{1});
}

}  // namespace
}  // namespace faultline::test
