// Workloads made up from a seed: the same references on every machine, since they are made with integers only, but for
// the weights of Zipf's distribution, which are rounded to integers.
//
// There are two suites. The policies of src/policy were tuned by looking at the first; the second, with other seeds,
// sizes and shapes, says whether that holds elsewhere. Do not tune by the second.
#pragma once

#include "replay/reference.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// How large everything is. Pages and the like follow from `frames`.
struct WorkloadScale {
    std::size_t frames = 1024;
    std::size_t references = 120'000;
};

enum class Suite : std::uint8_t { tuning, held_out };

[[nodiscard]] std::string_view name(Suite suite) noexcept;

struct Workload {
    std::string_view name;
    std::string_view what;
    std::vector<PageReference> (*generate)(const WorkloadScale& scale, std::uint64_t seed, Suite suite);
};

/// In the order in which they are shown.
[[nodiscard]] const std::vector<Workload>& workloads();

/// Null: no such workload.
[[nodiscard]] const Workload* find_workload(std::string_view name);

}  // namespace bench
