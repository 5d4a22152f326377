// Traps 14 and 20: signals that no region raised. A signal that another mapping raises or a process sends gets the
// action that was installed before the pager, as if no pager existed. With SIGBUS blocked no fault can be resolved.

#include "traps/bus_errors.hpp"

#include "support/fault_catcher.hpp"
#include "sys/file_descriptor.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <iostream>
#include <system_error>

namespace faultline::test {
namespace {

/// A mapped page beyond the end of its file: an access raises SIGBUS.
class PageBeyondTheEnd {
public:
    PageBeyondTheEnd() : file_{::memfd_create("short", MFD_CLOEXEC)} {
        void* const mapped = ::mmap(nullptr, kBasePageBytes, PROT_READ, MAP_SHARED, file_.get(), 0);
        if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        page_ = static_cast<std::byte*>(mapped);
    }
    ~PageBeyondTheEnd() { ::munmap(page_, kBasePageBytes); }
    PageBeyondTheEnd(const PageBeyondTheEnd&) = delete;
    PageBeyondTheEnd& operator=(const PageBeyondTheEnd&) = delete;
    [[nodiscard]] std::byte* address() const noexcept { return page_ + 24; }

private:
    sys::FileDescriptor file_;
    std::byte* page_ = nullptr;
};

constexpr std::size_t kManagedPages = 24;
constexpr std::size_t kManagedFrames = 8;

class Trap20 : public TrapMatrix {};

TEST_P(Trap20, ForeignBusErrorReachesTheEarlierHandlerUnchanged) {
    const ScopedSignal earlier{SIGBUS, &CaughtSignal::jump_out};
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
    Region region = pager.reserve(kManagedPages * GetParam().page_size, options());
    fill_with_units(region);
    const PageBeyondTheEnd foreign;
    for (std::uint64_t i = 0; i < 200; ++i) {  // a jump out of the handler must leak nothing
        ASSERT_TRUE(read_is_caught(foreign.address()));
        EXPECT_EQ(CaughtSignal::address, foreign.address());
        EXPECT_EQ(CaughtSignal::code, BUS_ADRERR);
        ASSERT_EQ(wrong_words(region, i % units_of(region)), 0U);
    }
}

TEST_P(Trap20, EarlierHandlerOfOneArgumentIsCalled) {
    const ScopedSignal earlier{SIGBUS, plain_action(&CaughtSignal::jump_out_plainly)};
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
    Region region = pager.reserve(kManagedPages * GetParam().page_size, options());
    fill_with_units(region);
    const PageBeyondTheEnd foreign;
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(read_is_caught(foreign.address()));
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap20, ForbiddenAccessReachesTheEarlierHandlerBesidePagersOfOtherDeliveries) {
    const FaultCatcher earlier;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
    Config hidden;
    hidden.delivery = Delivery::sigsegv;
    hidden.resident_limit = kManagedFrames * kBasePageBytes;
    Pager beside{hidden};
    Region region = pager.reserve(kManagedPages * GetParam().page_size, options());
    Region neighbour = beside.reserve(kManagedPages * kBasePageBytes);
    region.protect(region.data(), region.page_size(), Access::none);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(FaultCatcher::write(region.data()).signal, SIGSEGV);
        EXPECT_EQ(FaultCatcher::write(neighbour.data() + i * kBasePageBytes).signal, 0);
    }
}

// The signal mask during the handler.
sigset_t mask_in_handler;

void note_mask_and_jump(int signal, siginfo_t* info, void* context) {
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask_in_handler);
    CaughtSignal::jump_out(signal, info, context);
}

TEST_P(Trap20, EarlierHandlerFindsTheMaskItAskedFor) {
    for (const int flags : {0, SA_NODEFER}) {
        struct sigaction action {};
        action.sa_sigaction = &note_mask_and_jump;
        action.sa_flags = SA_SIGINFO | flags;
        sigaddset(&action.sa_mask, SIGUSR1);
        const ScopedSignal earlier{SIGBUS, action};
        FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
        ASSERT_EQ(pager.delivery(), GetParam().delivery);
        const PageBeyondTheEnd foreign;
        ASSERT_TRUE(read_is_caught(foreign.address()));
        EXPECT_EQ(sigismember(&mask_in_handler, SIGUSR1), 1);
        EXPECT_EQ(sigismember(&mask_in_handler, SIGBUS), flags == 0 ? 1 : 0);
        EXPECT_EQ(sigismember(&mask_in_handler, SIGUSR2), 0);
        sigset_t after;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &after);
        EXPECT_EQ(sigismember(&after, SIGUSR1), 0);
        EXPECT_EQ(sigismember(&after, SIGBUS), 0);
    }
}

const Region* region_for_handler = nullptr;
std::atomic<std::size_t> wrong_in_handler{0};

void read_all_and_jump(int signal, siginfo_t* info, void* context) {
    const siginfo_t copy = *info;
    wrong_in_handler += wrong_words(*region_for_handler);
    *info = copy;
    CaughtSignal::jump_out(signal, info, context);
}

TEST_P(Trap20, EarlierHandlerMayTouchManagedMemory) {
    const ScopedSignal earlier{SIGBUS, &read_all_and_jump, SA_NODEFER};
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
    Region region = pager.reserve(kManagedPages * GetParam().page_size, options());
    fill_with_units(region);
    region_for_handler = &region;
    wrong_in_handler.store(0);
    const PageBeyondTheEnd foreign;
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(read_is_caught(foreign.address()));
        EXPECT_EQ(CaughtSignal::address, foreign.address());
    }
    EXPECT_EQ(wrong_in_handler.load(), 0U);
}

TEST_P(Trap20, SentSignalReachesTheEarlierHandlerWithItsSender) {
    static std::atomic<pid_t> sender;
    static std::atomic<int> code;
    sender = 0;
    const ScopedSignal earlier{SIGBUS, [](int, siginfo_t* info, void*) {
                                   sender = info->si_pid;
                                   code = info->si_code;
                               }};
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
    ASSERT_EQ(pager.delivery(), GetParam().delivery);
    ASSERT_EQ(::kill(::getpid(), SIGBUS), 0);
    while (sender.load() == 0) std::this_thread::yield();  // the kernel may deliver it to any thread
    EXPECT_EQ(sender.load(), ::getpid());
    EXPECT_EQ(code.load(), SI_USER);
}

TEST_P(Trap20, EarlierHandlerIsRestoredAfterThePagerEnds) {
    const ScopedSignal earlier{SIGBUS, &CaughtSignal::jump_out};
    {
        FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
        Region region = pager.reserve(kManagedPages * GetParam().page_size, options());
        fill_with_units(region);
    }
    struct sigaction now {};
    ASSERT_EQ(::sigaction(SIGBUS, nullptr, &now), 0);
    EXPECT_EQ(now.sa_sigaction, &CaughtSignal::jump_out);
    const PageBeyondTheEnd foreign;
    EXPECT_TRUE(read_is_caught(foreign.address()));
}

TEST_P(Trap20, PagerDoesNotTakeSigsegv) {
    const ScopedSignal own{SIGSEGV, &CaughtSignal::jump_out};
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kManagedFrames));
    Region region = pager.reserve(kManagedPages * GetParam().page_size, options());
    fill_with_units(region);
    struct sigaction now {};
    ASSERT_EQ(::sigaction(SIGSEGV, nullptr, &now), 0);
    EXPECT_EQ(now.sa_sigaction, &CaughtSignal::jump_out);
    void* const forbidden = ::mmap(nullptr, kBasePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(forbidden, MAP_FAILED);
    EXPECT_TRUE(read_is_caught(static_cast<std::byte*>(forbidden)));
    EXPECT_EQ(CaughtSignal::address, forbidden);
    EXPECT_EQ(CaughtSignal::code, SEGV_ACCERR);
    ::munmap(forbidden, kBasePageBytes);
    EXPECT_EQ(wrong_words(region), 0U);
}

/// Runs `body` in a child that sets `earlier` as the action of SIGBUS before it makes the pager.
template <typename Body>
ChildEnd in_child_with_pager(const Config& config, void (*earlier)(int), Body body) {
    return in_child([&] {
        const ScopedSignal action{SIGBUS, plain_action(earlier)};
        Pager pager{config};
        Region region = pager.reserve(kManagedPages * kBasePageBytes);
        fill_with_units(region);
        body(region);
        return wrong_words(region) == 0 ? 0 : 1;
    });
}

TEST_P(Trap20, ForeignBusErrorWithoutAHandlerKills) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config_with(kManagedFrames));
    const auto touch = [](Region&) { static_cast<void>(read_word(PageBeyondTheEnd{}.address())); };
    const ChildEnd unhandled = in_child_with_pager(config_with(kManagedFrames), SIG_DFL, touch);
    EXPECT_TRUE(unhandled.killed_by(SIGBUS)) << unhandled;
    const ChildEnd ignored =
        in_child_with_pager(config_with(kManagedFrames), SIG_IGN, touch);  // a fault cannot be ignored
    EXPECT_TRUE(ignored.killed_by(SIGBUS)) << ignored;
}

TEST_P(Trap20, SentSignalGetsTheEarlierDefaultOrIgnoreAction) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config_with(kManagedFrames));
    const auto send = [](Region&) { ::kill(::getpid(), SIGBUS); };
    const ChildEnd ignored = in_child_with_pager(config_with(kManagedFrames), SIG_IGN, send);
    EXPECT_TRUE(ignored.exited_with(0)) << ignored;
    const ChildEnd unhandled = in_child_with_pager(config_with(kManagedFrames), SIG_DFL, send);
    EXPECT_TRUE(unhandled.killed_by(SIGBUS)) << unhandled;
}

constexpr Variant kBySignal{Delivery::uffd_signal, Eviction::automatic};
constexpr Variant kByThreads{Delivery::uffd_threads, Eviction::automatic};
INSTANTIATE_TEST_SUITE_P(Matrix, Trap20, testing::Values(kBySignal, kByThreads), VariantName{});

// ---- 14 blocked SIGBUS

class Trap14 : public TrapTest {};

TEST_F(Trap14, FaultWithSigbusBlockedKillsAndDoesNotHang) {
    Config config;
    config.delivery = Delivery::uffd_signal;
    config.resident_limit = kManagedFrames * kBasePageBytes;
    const ChildEnd end = in_child_with_pager(config, SIG_DFL, [](Region& region) {
        evict_all(region);
        sigset_t blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGBUS);
        ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
        const std::uint64_t value = read_word(region.data());
        std::cerr << "read " << value;
    });
    EXPECT_TRUE(end.killed_by(SIGBUS)) << end;
    EXPECT_EQ(end.said, "");
}

TEST_F(Trap14, PinnedPagesAreReadableWithSigbusBlocked) {
    Config config;
    config.delivery = Delivery::uffd_signal;
    config.resident_limit = 2 * kManagedPages * kBasePageBytes;
    const ChildEnd end = in_child_with_pager(config, SIG_DFL, [](Region& region) {
        sigset_t blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGBUS);
        ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
        const Pin pin = region.pin(region.data(), region.size());
        static_cast<void>(wrong_words(region));
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

}  // namespace
}  // namespace faultline::test
