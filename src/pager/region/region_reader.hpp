// RegionReader: a reader of RegionMap::readers() that waits while FaultGate is closed. Regions that it finds live as
// long as it does.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/region/fault_gate.hpp"
#include "pager/region/region_map.hpp"
#include "sys/quiescence.hpp"

#include <optional>

namespace faultline::pager {

/// The caller has signals blocked while it constructs one. Signal-safe.
class RegionReader {
public:
    RegionReader() FAULTLINE_SIGNAL_SAFE {
        reader_.emplace(RegionMap::readers());
        // A thread that is inside already must not wait: the thread that closed the gate waits for it.
        while (depth_ == 0 && FaultGate::is_closed()) {
            reader_.reset();
            FaultGate::wait();
            reader_.emplace(RegionMap::readers());
        }
        ++depth_;
    }
    ~RegionReader() { --depth_; }
    RegionReader(const RegionReader&) = delete;
    RegionReader& operator=(const RegionReader&) = delete;

private:
    // Initial-exec: the other models may allocate a thread's block on its first use, in a fault handler.
    [[gnu::tls_model("initial-exec")]] static thread_local constinit inline int depth_ = 0;

    std::optional<sys::Quiescence::Reader> reader_;
};

}  // namespace faultline::pager
