// FaultPathSection: lets a control call use functions of the fault path. While it lives, signals are blocked, so that
// no signal handler waits for a page or a lock of its own thread; and the thread is a reader, so that no region is
// destroyed meanwhile.
#pragma once

#include "pager/region/region_reader.hpp"
#include "sys/signal_block.hpp"

namespace faultline::pager {

struct FaultPathSection {
    sys::SignalBlock signals;
    RegionReader reader;
};

}  // namespace faultline::pager
