// Helpers of the tests in this folder, which run a pager beside other users of signals, threads and ids: the signal of
// a delivery, foreign faults, a child process with a pager, and the report of what failed there.
#pragma once

#include "support/sanitizers.hpp"
#include "traps/trap_support.hpp"

#include "sys/file_descriptor.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <iostream>
#include <system_error>

namespace faultline::test {

/// ThreadSanitizer defers signals, and then runs their handlers with every signal blocked.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kHandlersMayFault = false;
#else
inline constexpr bool kHandlersMayFault = true;
#endif

/// Returns the signal that faults raise in a delivery, or 0.
inline int fault_signal(Delivery delivery) {
    if (delivery == Delivery::uffd_threads) return 0;
    if (delivery == Delivery::uffd_signal) return SIGBUS;
    return SIGSEGV;
}

/// Returns the signal that a test of foreign faults raises: the delivery's own, or SIGBUS if it uses none.
inline int foreign_signal(Delivery delivery) {
    const int signal = fault_signal(delivery);
    return signal == 0 ? SIGBUS : signal;
}

/// An unmanaged page: an access raises SIGBUS (the page lies beyond the end of its file) or SIGSEGV (PROT_NONE).
class ForeignPage {
public:
    explicit ForeignPage(int signal) : code_{signal == SIGBUS ? int{BUS_ADRERR} : int{SEGV_ACCERR}} {
        if (signal == SIGBUS) file_ = sys::FileDescriptor{::memfd_create("short", MFD_CLOEXEC)};
        const int flags = MAP_PRIVATE | (file_ ? 0 : MAP_ANONYMOUS);
        void* const mapped = ::mmap(nullptr, kBasePageBytes, file_ ? PROT_READ : PROT_NONE, flags, file_.get(), 0);
        if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        page_ = static_cast<std::byte*>(mapped);
    }
    ~ForeignPage() { ::munmap(page_, kBasePageBytes); }
    ForeignPage(const ForeignPage&) = delete;
    ForeignPage& operator=(const ForeignPage&) = delete;
    [[nodiscard]] std::byte* address() const noexcept { return page_ + 24; }
    [[nodiscard]] int code() const noexcept { return code_; }

private:
    sys::FileDescriptor file_;
    std::byte* page_ = nullptr;
    int code_;
};

/// Replaces EXPECT in a child process: prints each condition that does not hold; code() is the child's exit code.
class Verdict {
public:
    void expect(bool holds, const char* what) {
        if (holds) return;
        if (failures_++ < 10) std::cerr << "does not hold: " << what << std::endl;
    }
    [[nodiscard]] int code() const noexcept { return failures_ == 0 ? 0 : 1; }

private:
    std::size_t failures_ = 0;
};

inline constexpr std::size_t kLifePages = 32;
inline constexpr std::size_t kLifeFrames = 10;

/// Each test runs in a child process, which may be killed, with a pager whose region has three times as many pages as
/// frames.
class LifeMatrix : public TrapMatrix {
protected:
    using Body = std::function<void(Pager&, Region&, Verdict&)>;

    /// In a child: runs `before`, makes a pager and a filled region, runs `body`, and checks that the region keeps its
    /// bytes.
    [[nodiscard]] ChildEnd live(const Body& body, const std::function<void()>& before = {}) const {
        return in_child([&] {
            Verdict verdict;
            if (before) before();
            Pager pager{config_with(kLifeFrames)};
            Region region = pager.reserve(kLifePages * GetParam().page_size, options());
            fill_with_units(region);
            body(pager, region, verdict);
            verdict.expect(wrong_words(region) == 0, "the region keeps its bytes");
            return verdict.code();
        });
    }
    [[nodiscard]] int signal_of_faults() const { return fault_signal(GetParam().delivery); }
    [[nodiscard]] int signal_of_others() const { return foreign_signal(GetParam().delivery); }
};

#define FAULTLINE_LIVE_OR_SKIP() FAULTLINE_SKIP_UNLESS_PERMITTED(config_with(kLifeFrames))

/// Returns whether the first word of a unit is the one that fill_with_units() wrote.
inline bool unit_is_right(const Region& region, std::uint64_t unit) noexcept {
    return read_word(region.data() + unit * kBasePageBytes) == word_of_unit(unit);
}

}  // namespace faultline::test
