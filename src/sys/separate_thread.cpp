#include "sys/separate_thread.hpp"

#include "sys/futex.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <linux/close_range.h>

#include <climits>
#include <mutex>

namespace faultline::sys {
namespace {

/// Gives the calling thread a descriptor table that holds only `kept`. Returns false if the kernel refuses.
bool leave_shared_descriptors(int kept) noexcept {
    // The first call copies nothing above `kept`, and closes nothing in the table that the other threads keep using.
    if (raw_syscall(SYS_close_range, kept + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0) return false;
    if (kept > 0) raw_syscall(SYS_close_range, 0, kept - 1, 0);
    return true;
}

}  // namespace

SeparateThread::SeparateThread(const char* name, int kept)
    : thread_{name, "see `ulimit -u`", [this, kept] { live(kept); }} {
    futex_wait_while(state_, kStarting);
}

SeparateThread::~SeparateThread() {
    ending_.store(true);
    asked_.fetch_add(1);
    futex_wake(asked_);
}

void SeparateThread::live(int kept) noexcept {
    const bool separate = leave_shared_descriptors(kept);
    state_.store(separate ? kSeparate : kRefused);
    futex_wake(state_);
    serve();
    if (separate && kept != kNoFile)
        raw_syscall(SYS_close, kept);  // joining a thread does not wait until the kernel has closed its files
}

void SeparateThread::serve() noexcept {
    for (std::uint32_t done = 0;; ++done) {
        futex_wait_while(asked_, done);
        if (ending_.load()) return;
        function_(context_);
        answered_.store(done + 1);
        futex_wake(answered_);
    }
}

bool SeparateThread::run(Function function, void* context) FAULTLINE_SIGNAL_SAFE {
    const SignalBlock signals;
    const std::lock_guard lock{calling_};
    function_ = function;
    context_ = context;
    const std::uint32_t call = asked_.fetch_add(1) + 1;
    if (!futex_wake(asked_)) return false;
    for (std::uint32_t answered = answered_.load(); answered != call; answered = answered_.load()) {
        futex_wait(answered_, answered);
    }
    return true;
}

}  // namespace faultline::sys
