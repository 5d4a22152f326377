// Standstill: for a while no fault is answered, nothing is evicted and no region comes or goes, in the whole process.
// Who faults, waits. It keeps everybody out; what is in flight in io_uring then, the pager that began it waits for.
#pragma once

#include "mmu/uffd_thread_source.hpp"
#include "pager/region_tree.hpp"
#include "sys/signal_block.hpp"

#include <optional>

namespace faultline::detail {

/// Returns when no RegionReader is left, except on this thread. The caller has RegionTree::lock(), and signals blocked:
/// a handler that faulted on this thread would be let in.
inline void stop_everybody() {
    mmu::UffdThreadSource::set_patient(true);
    ForkGate::close();
    RegionTree::readers().synchronize();
}
inline void let_everybody_go_on() noexcept {
    ForkGate::open();
    mmu::UffdThreadSource::set_patient(false);
}

/// All of it, while one lives. The thread is no reader, and its stack is not in managed memory.
class Standstill {
public:
    Standstill() {
        RegionTree::lock();
        signals_.emplace();
        stop_everybody();
    }
    ~Standstill() {
        let_everybody_go_on();
        signals_.reset();
        RegionTree::unlock();
    }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

private:
    std::optional<sys::SignalBlock> signals_;
};

}  // namespace faultline::detail
