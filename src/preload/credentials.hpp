// Lets the program change its ids, capabilities and namespaces although the library has threads of its own.
// The C library and the kernel apply such changes to threads one by one, or refuse them to processes with several
// threads. The interposed functions are in credentials.cpp.
#pragma once

namespace faultline::preload {

/// Records that the library's threads belong to the calling process. Called at the start, and in the child of a fork.
void remember_process() noexcept;

}  // namespace faultline::preload
