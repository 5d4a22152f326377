// HeapRegistry: the list of all heaps of the process. When a thread ends it tells each heap to take back the thread's
// cache. In a child of fork it tells each heap that the parent's other threads are gone. It makes fork wait until no
// thread is inside a NoForkSection. A heap that is destroyed before the thread ends is not told.
#pragma once

#include "heap/thread_cache.hpp"

#include <boost/intrusive/list.hpp>

namespace faultline::heap {

class RegisteredHeap : public boost::intrusive::list_base_hook<> {
public:
    /// Called by the thread named `thread` when it ends.
    virtual void thread_ends(const void* thread) noexcept = 0;
    /// Called in a child of fork, whose only thread is `thread`. No heap is in the middle of a change, except in the
    /// caches of the parent's other threads.
    virtual void start_in_child(const void* thread) noexcept = 0;

protected:
    ~RegisteredHeap() = default;
};

class HeapRegistry {
public:
    /// Returns a number that no other heap of the process has or had.
    [[nodiscard]] static HeapId new_id() noexcept;

    /// Registers `heap`: it is told of the end of each thread that has asked for it. Throws std::system_error.
    static void add(RegisteredHeap& heap);
    /// Unregisters `heap`. Waits until no ending thread is calling it.
    static void remove(RegisteredHeap& heap) noexcept;

    /// Asks for `thread_ends` when the calling thread ends.
    static void notify_when_this_thread_ends() noexcept;
};

}  // namespace faultline::heap
