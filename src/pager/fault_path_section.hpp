// What the fault path's functions ask of a caller that is not a fault: signals blocked, so that no handler of the
// program can want a page or a lock its own thread holds; and a reader, so that no region goes under it.
#pragma once

#include "pager/quiescence.hpp"
#include "pager/region_tree.hpp"
#include "sys/signal_block.hpp"

namespace faultline::detail {

struct FaultPathSection {
    sys::SignalBlock signals;
    RegionReader reader;
};

}  // namespace faultline::detail
