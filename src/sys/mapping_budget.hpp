// MappingBudget: how many mappings (VMAs) the process may use for pages whose protection changes one by one. The kernel
// allows vm.max_map_count mappings for the whole process. This class counts faultline's mappings and leaves the rest to
// the program. It maps nothing.
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::sys {

/// One for the process, like the kernel's own count. Thread-safe.
class MappingBudget {
public:
    /// Counts the mappings of the process and sets the limit. Control path; reads /proc/self/maps.
    static void recount();

    /// Adds `change` to the mappings in use; negative if fewer are in use.
    static void account(std::int64_t change) FAULTLINE_SIGNAL_SAFE;

    /// Returns true if only the reserve is left, which is for work that cannot wait.
    [[nodiscard]] static bool is_short() FAULTLINE_SIGNAL_SAFE;
    /// Returns true if less than an eighth is left until is_short.
    [[nodiscard]] static bool is_low() FAULTLINE_SIGNAL_SAFE;

    /// Lowers the limit after the kernel refused a mapping: the program uses more than was counted.
    static void exhausted() FAULTLINE_SIGNAL_SAFE;

    /// `used` returns the mappings in use; `limit` returns how many may be used before `is_short`.
    [[nodiscard]] static std::int64_t used() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static std::int64_t limit() FAULTLINE_SIGNAL_SAFE;
};

}  // namespace faultline::sys
