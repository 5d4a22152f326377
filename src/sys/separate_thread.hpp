// SeparateThread: a thread with a descriptor table of its own, which runs functions for other threads. What it opens
// never has a number in the program's table, not even for a moment. DescriptorKeeper and FileReader use it.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex_lock.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

class SeparateThread {
public:
    static constexpr int kNoFile = -1;

    /// Returns when the thread has its own table, which holds only `kept` (or nothing for kNoFile). If the kernel
    /// refuses a second table (a seccomp filter), the thread shares the caller's. `name`: as for ServiceThread. Throws
    /// std::system_error if no thread can be started.
    SeparateThread(const char* name, int kept);
    ~SeparateThread();
    SeparateThread(const SeparateThread&) = delete;
    SeparateThread& operator=(const SeparateThread&) = delete;

    [[nodiscard]] bool is_separate() const noexcept { return state_.load() == kSeparate; }

    /// Runs `act()` in the thread and waits until it has returned. Returns false, without having run it, if a seccomp
    /// filter forbids the calling thread to wake the other one. Signal-safe if `act` is.
    template <typename Act>
    [[nodiscard]] bool run(Act& act) FAULTLINE_SIGNAL_SAFE {
        return run([](void* context) { (*static_cast<Act*>(context))(); }, &act);
    }

private:
    static constexpr std::uint32_t kStarting = 0;
    static constexpr std::uint32_t kSeparate = 1;
    static constexpr std::uint32_t kRefused = 2;

    using Function = void (*)(void* context);

    [[nodiscard]] bool run(Function function, void* context) FAULTLINE_SIGNAL_SAFE;
    void live(int kept) noexcept;
    void serve() noexcept;

    // All atomics here are sequentially consistent: `asked_` publishes the call, `answered_` what it has done.
    std::atomic<std::uint32_t> state_{kStarting};  // futex; changes once
    std::atomic<std::uint32_t> asked_{0};          // futex: number of calls requested, plus one for the end
    std::atomic<std::uint32_t> answered_{0};       // futex: number of calls made
    std::atomic<bool> ending_{false};              // set before the last increment of `asked_`
    FutexLock calling_;                            // serialises calls; held with all signals blocked
    // The call in progress: written under `calling_`, read by the thread.
    Function function_ = nullptr;
    void* context_ = nullptr;
    ServiceThread thread_;  // last: joined before the other members are destroyed
};

}  // namespace faultline::sys
