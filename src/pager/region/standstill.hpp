// Standstill: while it lasts, the process answers no fault, evicts no page, and creates and destroys no region. Threads
// that fault wait. Reads in flight in io_uring continue: the pager that started them waits for them.
#pragma once

#include "mmu/uffd_thread_source.hpp"
#include "pager/region/fault_gate.hpp"
#include "pager/region/region_map.hpp"
#include "sys/signal_block.hpp"

#include <optional>

namespace faultline::pager {

/// Returns when no RegionReader is left, except on this thread. The caller holds RegionMap::lock() and has signals
/// blocked: a signal handler that faulted on this thread would pass the gate.
inline void begin_standstill() {
    mmu::UffdThreadSource::set_patient(true);
    FaultGate::close();
    RegionMap::readers().synchronize();
}
inline void end_standstill() noexcept {
    FaultGate::open();
    mmu::UffdThreadSource::set_patient(false);
}

/// A standstill while it lives. The thread is no reader, and its stack is not in managed memory.
class Standstill {
public:
    Standstill() {
        RegionMap::lock();
        signals_.emplace();
        begin_standstill();
    }
    ~Standstill() {
        end_standstill();
        signals_.reset();
        RegionMap::unlock();
    }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

private:
    std::optional<sys::SignalBlock> signals_;
};

}  // namespace faultline::pager
