// FaultGate: keeps new readers out while the process forks or a space is cloned. A child of fork would never see those
// readers end that are inside. RegionReader (region_reader.hpp) waits at the gate.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/cpu.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::pager {

/// One for the process, since signal handlers belong to the process. Signal-safe.
class FaultGate {
public:
    /// From here on only the calling thread passes. `Quiescence::synchronize` waits for the threads that are inside.
    static void close() noexcept {
        owner_.store(sys::thread_token());
        closed_.store(1);
    }
    static void open() noexcept {
        closed_.store(0);
        sys::futex_wake(closed_);
    }
    [[nodiscard]] static bool is_closed() FAULTLINE_SIGNAL_SAFE {
        return closed_.load() != 0 && owner_.load() != sys::thread_token();
    }
    /// Sleeps until the gate may be open. Returns at once when it is.
    static void wait() FAULTLINE_SIGNAL_SAFE { sys::futex_wait(closed_, 1); }

private:
    static inline std::atomic<std::uint32_t> closed_{0};
    static inline std::atomic<std::uint64_t> owner_{0};
};

}  // namespace faultline::pager
