// Lets the program change its ids, capabilities and namespaces although the library has threads of its own.
// The C library and the kernel apply such changes to threads one by one, or refuse them to processes with several
// threads. The interposed functions are in credentials.cpp.
#pragma once

#include <cstdint>
#include <functional>

namespace faultline::preload {

/// Records that the library's threads belong to the calling process. Called at the start, and in the child of a fork.
void remember_process() noexcept;

/// How a call of the program has reached the library.
enum class CallFrom : std::uint8_t {
    function,  ///< A function of the C library that the library interposes.
    dispatch,  ///< A dispatched system call: the handler is in one InLibrary scope.
};

/// Calls `change`, which returns -1 with errno or another value, while the library has no threads. They start again on
/// behalf of the calling thread. `change` must not touch managed memory. -1 with EAGAIN if they cannot be ended.
int run_without_threads(const std::function<int()>& change, CallFrom from) noexcept;

}  // namespace faultline::preload
