// LiveHeaps: all heaps of the process, so that a thread that ends can give each what it kept of it, and that a child of
// fork has what all threads of its parent kept. Where a heap goes first, there is nothing to give. Fork waits until no
// thread is in the middle of any heap.
#pragma once

#include "heap/thread_cache.hpp"

#include <boost/intrusive/list.hpp>

namespace faultline::heap {

class HeapOfThreads : public boost::intrusive::list_base_hook<> {
public:
    /// The thread named `thread`, which is the calling one, ends.
    virtual void thread_ends(const void* thread) noexcept = 0;
    /// The process is a child of fork, and `thread` the only one. Nothing is half done but in other threads' caches.
    virtual void start_in_child(const void* thread) noexcept = 0;

protected:
    ~HeapOfThreads() = default;
};

class LiveHeaps {
public:
    /// From now on `heap` is told of threads that end, if they have asked for it. Returns its number.
    static HeapId add(HeapOfThreads& heap);
    /// Returns when no thread is telling it.
    static void remove(HeapOfThreads& heap) noexcept;

    /// The calling thread has something to give back when it ends.
    static void tell_when_this_thread_ends() noexcept;
};

}  // namespace faultline::heap
