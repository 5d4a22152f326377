// Policies that see every reference, as hardware with an accessed bit would show them. A pager that sees only faults is
// compared with them.
//
//   opt      evicts the page whose next use is farthest away (Belady 1966). It knows the future; no policy reads less
//   lru      evicts the least recently used page
//   clock    FIFO that skips each page once that was used since the last pass
//   fifo     evicts the page that became resident first
//   s3_fifo  small and main FIFO queue and a ghost queue (Yang et al., SOSP 2023): 10% small, two uses to be promoted
#pragma once

#include "replay/model.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace bench {

/// The names of the policies, in the order above.
[[nodiscard]] const std::vector<std::string_view>& observing_policies();

/// Returns a model of `name` with `frames` (at least 1) for one replay of `trace`, which must outlive it. Null: unknown
/// name.
[[nodiscard]] std::unique_ptr<Model> make_observing(std::string_view name, const DenseTrace& trace, std::size_t frames);

}  // namespace bench
