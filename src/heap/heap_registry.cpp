#include "heap/heap_registry.hpp"

#include "heap/no_fork_section.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"

#include <pthread.h>

#include <atomic>
#include <mutex>

namespace faultline::heap {

constinit thread_local std::array<RecentCaches::Entry, RecentCaches::kEntries> RecentCaches::entries_{};
constinit thread_local RecentCaches::Entry RecentCaches::last_{};

namespace {

/// All heaps, and what they need of pthreads. Never destroyed: threads may end while static objects are destroyed.
struct All {
    std::mutex mutex;  // taken before every lock of a heap; held over fork
    boost::intrusive::list<RegisteredHeap, boost::intrusive::constant_time_size<false>> heaps;
    pthread_key_t key = 0;  // its destructor runs after those of thread_local objects, which may still use a heap

    All() {
        const int error = ::pthread_key_create(&key, [](void* thread) {
            All& all = the();
            const std::lock_guard lock{all.mutex};
            for (RegisteredHeap& heap : all.heaps) heap.thread_ends(thread);
        });
        if (error != 0)
            sys::throw_error(error,
                             "cannot make a heap: the process has no thread-specific key left (pthread_key_create)");
        sys::set_fork_handlers(sys::ForkParty::upper, &kHandlers);
    }
    static All& the() {
        static All* const all = new All;
        return *all;
    }

    static void close() {
        the().mutex.lock();
        NoForkSection::close();
    }
    static void reopen() {
        NoForkSection::reopen();
        the().mutex.unlock();
    }
    static void reopen_in_child() {
        All& all = the();
        const void* const self = RecentCaches::this_thread();
        for (RegisteredHeap& heap : all.heaps) heap.start_in_child(self);
        NoForkSection::reopen_in_child();
        all.mutex.unlock();
    }
    static constexpr sys::ForkHandlers kHandlers{&close, &reopen, &reopen_in_child};
};

}  // namespace

HeapId HeapRegistry::new_id() noexcept {
    static constinit std::atomic<HeapId> last{0};
    return ++last;
}

void HeapRegistry::add(RegisteredHeap& heap) {
    All& all = All::the();
    const std::lock_guard lock{all.mutex};
    all.heaps.push_back(heap);
}

void HeapRegistry::remove(RegisteredHeap& heap) noexcept {
    All& all = All::the();
    const std::lock_guard lock{all.mutex};
    all.heaps.erase(all.heaps.iterator_to(heap));
}

void HeapRegistry::notify_when_this_thread_ends() noexcept {
    // If this fails for lack of memory, the heap gets the thread's cached blocks back only when the heap itself is
    // destroyed.
    static_cast<void>(::pthread_setspecific(All::the().key, RecentCaches::this_thread()));
}

}  // namespace faultline::heap
