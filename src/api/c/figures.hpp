// Copies the statistics of stats.hpp and heap.hpp to the structs of faultline.h.
// Each struct begins with its size (sized_struct.hpp), so older callers get the fields that they know. Called by the C
// functions that return statistics.
#pragma once

#include <faultline/faultline.h>
#include <faultline/heap.hpp>
#include <faultline/stats.hpp>

namespace faultline::api {

/// Fills in the fields that the caller's struct has. Throws std::system_error with EINVAL if its `size` is too small.
void write_stats(faultline_stats& to, const RegionStats& from);
void write_stats(faultline_pager_stats& to, const PagerStats& from);
void write_stats(faultline_heap_stats& to, const HeapStats& from);

}  // namespace faultline::api
