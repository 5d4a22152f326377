// The child's side of the protocol: makes its memory, populates it, then executes the parent's orders.
#pragma once

#include <functional>
#include <memory>

#include "vs_kernel/memory.hpp"
#include "vs_kernel/workload.hpp"

namespace bench {

/// Serves `socket` until it is told to finish or the parent is gone. Calls `make_memory` in the child. Returns the
/// process's exit status; throws nothing.
int serve(int socket, const std::function<std::unique_ptr<Memory>()>& make_memory, const WorkloadShape& shape) noexcept;

}  // namespace bench
