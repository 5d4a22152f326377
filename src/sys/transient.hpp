// TransientWait: waits out an error of the kernel that passes by itself, such as ENOMEM from one ioctl. The thread
// sleeps between two tries, so that threads it may be waiting for run, also below it in priority. The wait has a bound,
// and what was waited out is counted for the pager's log.
//
//   sys::TransientWait wait{"UFFDIO_COPY"};
//   do error = try_it(); while (wait.again(error));
#pragma once

#include "core/signal_safe.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>

namespace faultline::sys {

/// Whether the same call may succeed a moment later. ENOSPC is not among them: the pager waits for a full disk, for as
/// long as Config::full_disk_patience says.
[[nodiscard]] constexpr bool is_transient(int error) noexcept {
    return error == EINTR || error == EAGAIN || error == ENOMEM || error == EBUSY || error == ENOBUFS;
}

/// Sleeps for about `time`; a signal may end it early. Signal-safe.
void nap(std::chrono::nanoseconds time) FAULTLINE_SIGNAL_SAFE;

class TransientWait {
public:
    /// After so long since the first error, an error counts as permanent. Waits may be nested: the outer one's time
    /// passes in the inner one, too.
    static constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds{2};

    /// `call`: a string literal for the log.
    explicit TransientWait(const char* call, std::chrono::nanoseconds patience = kPatience) FAULTLINE_SIGNAL_SAFE
        : call_{call},
          patience_{patience} {}

    /// True: the caller tries again. EINTR and the first EAGAINs do not sleep, other errors sleep for 10 us to 1 ms.
    /// False: 0, an error that does not pass, or the patience is over.
    [[nodiscard]] bool again(int error) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::chrono::nanoseconds kShortest = std::chrono::microseconds{10};
    static constexpr std::chrono::nanoseconds kLongest = std::chrono::milliseconds{1};
    static constexpr int kEagerTries = 8;

    const char* call_;
    std::chrono::nanoseconds patience_;
    std::chrono::nanoseconds began_{};  // 0: no error yet
    std::chrono::nanoseconds next_ = kShortest;
    int eager_tries_ = 0;
};

/// Repeats `call`, which returns 0 or an errno, until it succeeds or its error does not pass. Returns that error.
template <typename Call>
[[nodiscard]] int wait_out(const char* name, Call call) FAULTLINE_SIGNAL_SAFE {
    TransientWait wait{name};
    for (;;) {
        const int error = call();
        if (!wait.again(error)) return error;
    }
}

/// Errors that were waited out since the last look, in the whole process.
struct TransientError {
    const char* call = nullptr;
    int error = 0;
    std::uint64_t times = 0;
};

/// Counts one. Signal-safe.
void note_transient(const char* call, int error) FAULTLINE_SIGNAL_SAFE;

/// Takes one kind of error off the list, with how often it came; `times` is 0 when there is none left.
[[nodiscard]] TransientError take_transient() FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
