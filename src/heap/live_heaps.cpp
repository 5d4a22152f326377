#include "heap/live_heaps.hpp"

#include "heap/slow_path.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"

#include <pthread.h>

#include <mutex>

namespace faultline::heap {

constinit thread_local std::array<RecentCaches::Entry, RecentCaches::kEntries> RecentCaches::entries_{};

namespace {

/// Never destroyed: threads may end while static objects go.
struct All {
    std::mutex mutex;  // before every lock of a heap's; held over fork
    boost::intrusive::list<HeapOfThreads, boost::intrusive::constant_time_size<false>> heaps;
    HeapId last = 0;
    pthread_key_t key = 0;  // called after the destructors of thread_local objects, which may still use a heap

    All() {
        const int error = ::pthread_key_create(&key, [](void* thread) {
            All& all = the();
            const std::lock_guard lock{all.mutex};
            for (HeapOfThreads& heap : all.heaps) heap.thread_ends(thread);
        });
        if (error != 0) sys::throw_error(error, "too many thread-specific keys (pthread_key_create) for a heap");
        sys::set_fork_handlers(sys::ForkParty::upper, &kHandlers);
    }
    static All& the() {
        static All* const all = new All;
        return *all;
    }

    static constexpr sys::ForkHandlers kHandlers{[] {
                                                     the().mutex.lock();
                                                     SlowPath::close();
                                                 },
                                                 [] {
                                                     SlowPath::reopen();
                                                     the().mutex.unlock();
                                                 },
                                                 [] {
                                                     All& all = the();
                                                     const void* const self = RecentCaches::this_thread();
                                                     for (HeapOfThreads& heap : all.heaps) heap.start_in_child(self);
                                                     SlowPath::reopen_in_child();
                                                     all.mutex.unlock();
                                                 }};
};

}  // namespace

HeapId LiveHeaps::add(HeapOfThreads& heap) {
    All& all = All::the();
    const std::lock_guard lock{all.mutex};
    all.heaps.push_back(heap);
    return ++all.last;
}

void LiveHeaps::remove(HeapOfThreads& heap) noexcept {
    All& all = All::the();
    const std::lock_guard lock{all.mutex};
    all.heaps.erase(all.heaps.iterator_to(heap));
}

void LiveHeaps::tell_when_this_thread_ends() noexcept {
    // Where there is no memory for it, what the thread kept is lost to the heap until the heap goes.
    static_cast<void>(::pthread_setspecific(All::the().key, RecentCaches::this_thread()));
}

}  // namespace faultline::heap
