// FaultPathSection: what functions of the fault path ask of a control call: signals are blocked, so that no signal
// handler wants a page or a lock that its own thread holds; and the thread is a reader, so that no region is destroyed
// under it.
#pragma once

#include "pager/region/region_reader.hpp"
#include "sys/signal_block.hpp"

namespace faultline::pager {

struct FaultPathSection {
    sys::SignalBlock signals;
    RegionReader reader;
};

}  // namespace faultline::pager
