// The child's half: makes its memory, populates it, then does what it is told.
#pragma once

#include <functional>
#include <memory>

#include "vs_kernel/memory.hpp"
#include "vs_kernel/workload.hpp"

namespace bench {

/// Serves `socket` until told to finish or until the parent is gone. `make_memory` is called here, in the child.
/// Returns the process's exit status; throws nothing.
int serve(int socket, const std::function<std::unique_ptr<Memory>()>& make_memory, const WorkloadShape& shape) noexcept;

}  // namespace bench
