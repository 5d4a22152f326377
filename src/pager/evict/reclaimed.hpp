// Reclaimed: the result of one attempt to free frames.
#pragma once

#include <cstdint>

namespace faultline::pager {

struct Reclaimed {
    std::int64_t units = 0;  ///< Released to the budget.
    bool progress = false;   ///< At least one page was unmapped: another attempt may free more.
    bool refused = false;    ///< The kernel holds pages for a moment, for example for a device.
    int write_error = 0;     ///< The store refused pages (an errno), which therefore still hold their frames.

    Reclaimed& operator+=(const Reclaimed& other) noexcept {
        units += other.units;
        progress |= other.progress;
        refused |= other.refused;
        if (other.write_error != 0) write_error = other.write_error;
        return *this;
    }
};

}  // namespace faultline::pager
