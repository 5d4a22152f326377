// Policies that see every reference, as hardware with an accessed bit, or nothing at all, would let them: what a pager
// that sees faults only is measured against.
//
//   opt      evicts the page whose next use is farthest away (Belady 1966): no policy reads less. Knows the future
//   lru      evicts the page unused for longest
//   clock    FIFO that passes over each page used since it last looked, once
//   fifo     evicts the page that came first
//   s3_fifo  small and main FIFO queue and a ghost queue (Yang et al., SOSP 2023): 10% small, two uses to be promoted
#pragma once

#include "replay/model.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace bench {

/// Names of the policies, in the order above.
[[nodiscard]] const std::vector<std::string_view>& observing_policies();

/// A model of `name` with `frames` (at least 1) for one replay of `trace`, which must outlive it. Null: no such name.
[[nodiscard]] std::unique_ptr<Model> make_observing(std::string_view name, const DenseTrace& trace, std::size_t frames);

}  // namespace bench
