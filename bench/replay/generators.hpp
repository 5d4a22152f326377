// Synthetic workloads from a seed. They give the same references on every machine, because they use integers only; the
// weights of Zipf's distribution are rounded to integers. (Those of vs_kernel compute with doubles, as vs_kernel does.)
//
// There are three suites, with other seeds, sizes and shapes each. The policies of src/policy were tuned with the
// first, and the candidates compared on the second. No choice was made with the third: it shows whether the result
// holds elsewhere. Do not tune with it.
#pragma once

#include "replay/reference.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// The sizes of a workload. Numbers of pages follow from `frames`.
struct WorkloadScale {
    std::size_t frames = 1024;
    std::size_t references = 120'000;
};

enum class Suite : std::uint8_t { tuning, held_out, fresh };

[[nodiscard]] std::string_view name(Suite suite) noexcept;

struct Workload {
    std::string_view name;
    std::string_view what;
    std::vector<PageReference> (*generate)(const WorkloadScale& scale, std::uint64_t seed, Suite suite);
};

/// Returns the names of all workloads, in the order of the tables.
[[nodiscard]] const std::vector<Workload>& workloads();

/// Returns the workload with a name, or null.
[[nodiscard]] const Workload* find_workload(std::string_view name);

}  // namespace bench
