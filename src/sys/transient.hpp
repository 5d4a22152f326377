// TransientWait: waits out a transient error of the kernel, such as ENOMEM from one ioctl. The thread sleeps between
// two tries, so that the threads it may be waiting for can run, even with a lower priority. The wait has a limit.
// Errors that were waited out are counted for the pager's log.
//
//   sys::TransientWait wait{"UFFDIO_COPY"};
//   do error = try_it(); while (wait.again(error));
#pragma once

#include "core/signal_safe.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>

namespace faultline::sys {

/// Returns true if the same call may succeed a moment later. Excludes ENOSPC: the pager waits for a full disk as long
/// as Config::full_disk_patience says.
[[nodiscard]] constexpr bool is_transient(int error) noexcept {
    return error == EINTR || error == EAGAIN || error == ENOMEM || error == EBUSY || error == ENOBUFS;
}

/// Sleeps for about `time`; a signal may end it early. Signal-safe.
void nap(std::chrono::nanoseconds time) FAULTLINE_SIGNAL_SAFE;

/// What happens if the kernel lacks memory (ENOMEM, EBUSY).
enum class OutOfMemory : std::uint8_t {
    wait,    ///< Waits, like for other transient errors.
    report,  ///< Returns the error at once: the caller can free memory, or the error means something else.
};

class TransientWait {
public:
    /// An error counts as permanent after this time since the first one. Waits may be nested; the time of an inner wait
    /// counts for the outer one, too.
    static constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds{2};

    /// `call` is a string literal for the log.
    explicit TransientWait(const char* call, OutOfMemory out_of_memory = OutOfMemory::wait,
                           std::chrono::nanoseconds patience = kPatience) FAULTLINE_SIGNAL_SAFE
        : call_{call},
          out_of_memory_{out_of_memory},
          patience_{patience} {}

    /// Returns true if the caller must try again. EINTR and the first EAGAINs do not sleep; other errors sleep 10 us to
    /// 1 ms. Returns false if `error` is 0 or not transient, or the patience is over.
    [[nodiscard]] bool again(int error) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::chrono::nanoseconds kShortest = std::chrono::microseconds{10};
    static constexpr std::chrono::nanoseconds kLongest = std::chrono::milliseconds{1};
    static constexpr int kEagerTries = 8;

    const char* call_;
    OutOfMemory out_of_memory_;
    std::chrono::nanoseconds patience_;
    std::chrono::nanoseconds began_{};  // 0: no error yet
    std::chrono::nanoseconds next_ = kShortest;
    int eager_tries_ = 0;
};

/// Repeats `call`, which returns 0 or an errno, until it succeeds or fails permanently. Returns the last result.
template <typename Call>
[[nodiscard]] int wait_out(const char* name, Call call, OutOfMemory out_of_memory = OutOfMemory::wait,
                           std::chrono::nanoseconds patience = TransientWait::kPatience) FAULTLINE_SIGNAL_SAFE {
    TransientWait wait{name, out_of_memory, patience};
    for (;;) {
        const int error = call();
        if (!wait.again(error)) return error;
    }
}

/// One kind of error that was waited out since the last look, in the whole process.
struct TransientError {
    const char* call = nullptr;
    int error = 0;
    std::uint64_t times = 0;
};

/// Counts one error. Signal-safe.
void note_transient(const char* call, int error) FAULTLINE_SIGNAL_SAFE;

/// Removes one kind of error from the list and returns it with its count; `times` is 0 if the list is empty.
[[nodiscard]] TransientError take_transient() FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
