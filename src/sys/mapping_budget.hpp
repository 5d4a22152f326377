// MappingBudget: how many mappings (VMAs) of the process may be spent on pages shown and hidden one by one. The kernel
// allows vm.max_map_count of them, to the whole process; this counts ours and leaves the rest alone. It maps nothing.
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::sys {

/// One for the process, as the kernel's own count is. Thread-safe.
class MappingBudget {
public:
    /// Counts what the process has by now. Control path; reads /proc/self/maps.
    static void recount();

    /// `change` mappings more, or less, are in use.
    static void account(std::int64_t change) FAULTLINE_SIGNAL_SAFE;

    /// Whether only the reserve is left, which is for what cannot wait.
    [[nodiscard]] static bool is_short() FAULTLINE_SIGNAL_SAFE;
    /// Whether it will soon be so: an eighth is left until then.
    [[nodiscard]] static bool is_low() FAULTLINE_SIGNAL_SAFE;

    /// The kernel says that there are no more, whatever was counted: somebody else has taken them.
    static void exhausted() FAULTLINE_SIGNAL_SAFE;

    /// Mappings we use now, and may use before `is_short`.
    [[nodiscard]] static std::int64_t used() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static std::int64_t limit() FAULTLINE_SIGNAL_SAFE;
};

}  // namespace faultline::sys
