// Changes of the process's ids, capabilities and namespaces, which the library's threads must not be in the way of.
#pragma once

namespace faultline::preload {

/// The calling process is the one that the library's threads are in. At the start, and in the child of a fork.
void remember_process() noexcept;

}  // namespace faultline::preload
