// The figures of stats.hpp in faultline.h's structs.
#pragma once

#include <faultline/faultline.h>
#include <faultline/stats.hpp>

namespace faultline::api {

/// Fills in what the caller's struct has room for. Throws std::system_error with EINVAL for its `size`.
void write_stats(faultline_stats& to, const RegionStats& from);
void write_stats(faultline_pager_stats& to, const PagerStats& from);

}  // namespace faultline::api
