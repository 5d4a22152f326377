// ProgressGuard: guarantees that every thread makes progress with a handful of frames. Without it, threads could evict
// each other's pages for ever: an instruction that needs two pages loses the first while it waits for the second.
//
// A thread that faults again on one of its last pages may take the grip. Eviction then spares the last four pages it
// faulted on, which is the most that one instruction can need, until its turn is over. One thread at a time holds the
// grip, so a small, fixed number of frames is enough for any number of threads. The choice of thread is a heuristic;
// the guarantee is not. It is not used when frames are plenty. FaultResolver records faults, Evictor asks what to
// spare.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Lock-free and signal-safe. All accesses are relaxed and may race: a lost update delays a thread's turn, no more.
class ProgressGuard {
public:
    static constexpr std::size_t kPagesPerInstruction = 4;

    /// Records that `thread` is about to get `page`.
    void faulted(std::uint64_t thread, core::PageRef page) FAULTLINE_SIGNAL_SAFE {
        Recent& recent = recent_of(thread);
        const bool again = recent.thread.load(std::memory_order_relaxed) == thread && recent.has(page);
        recent.remember(thread, page);
        if (again) take_grip(thread, recent);
        if (holder_.load(std::memory_order_relaxed) == thread) {
            gripped_.remember(thread, page);
            faults_held_.fetch_add(1, std::memory_order_relaxed);
        }
    }

    /// Returns whether `page` is one of the last pages on which `thread` faulted. SharedFrames calls it; eviction does
    /// not.
    [[nodiscard]] bool got_recently(std::uint64_t thread, core::PageRef page) FAULTLINE_SIGNAL_SAFE {
        const Recent& recent = recent_of(thread);
        return recent.thread.load(std::memory_order_relaxed) == thread && recent.has(page);
    }

    /// Returns whether eviction must spare `page`.
    [[nodiscard]] bool spares(core::PageRef page) const FAULTLINE_SIGNAL_SAFE {
        return holder_.load(std::memory_order_relaxed) != 0 && gripped_.has(page);
    }

private:
    // After this many faults the holder has executed its instruction.
    static constexpr std::uint32_t kTurn = 2 * kPagesPerInstruction;
    // Requests refused before a holder that does not fault any more, for example an ended thread, loses the grip.
    static constexpr std::uint32_t kPatience = 64;

    /// The last pages of one thread; `thread` 0: free.
    struct Recent {
        std::atomic<std::uint64_t> thread{0};
        std::array<std::atomic<std::uint64_t>, kPagesPerInstruction> pages{};
        std::atomic<std::uint32_t> next{0};

        [[nodiscard]] bool has(core::PageRef page) const noexcept {
            for (const auto& held : pages) {
                if (held.load(std::memory_order_relaxed) == page.bits()) return true;
            }
            return false;
        }
        void remember(std::uint64_t now_thread, core::PageRef page) noexcept {
            if (thread.exchange(now_thread, std::memory_order_relaxed) != now_thread) {
                for (auto& held : pages) held.store(0, std::memory_order_relaxed);
            }
            if (has(page)) return;
            pages[next.fetch_add(1, std::memory_order_relaxed) % pages.size()].store(page.bits(),
                                                                                     std::memory_order_relaxed);
        }
    };

    /// Returns the thread's own slot, or a free one nearby. If all are taken, for example by ended threads, returns
    /// another thread's.
    Recent& recent_of(std::uint64_t thread) noexcept {
        constexpr std::size_t kProbes = 4;
        const auto home = static_cast<std::size_t>((thread * 0x9e37'79b9'7f4a'7c15U) >> 56);
        Recent* free = nullptr;
        for (std::size_t probe = 0; probe < kProbes; ++probe) {
            Recent& recent = recent_[(home + probe) % recent_.size()];
            const std::uint64_t owner = recent.thread.load(std::memory_order_relaxed);
            if (owner == thread) return recent;
            if (owner == 0 && free == nullptr) free = &recent;
        }
        return free != nullptr ? *free : recent_[home];
    }

    void take_grip(std::uint64_t thread, const Recent& recent) FAULTLINE_SIGNAL_SAFE {
        std::uint64_t holder = holder_.load(std::memory_order_relaxed);
        if (holder == thread) return;
        const bool turn_is_over = holder == 0 || faults_held_.load(std::memory_order_relaxed) >= kTurn ||
                                  refused_.fetch_add(1, std::memory_order_relaxed) >= kPatience;
        if (!turn_is_over || !holder_.compare_exchange_strong(holder, thread)) return;
        faults_held_.store(0, std::memory_order_relaxed);
        refused_.store(0, std::memory_order_relaxed);
        for (const auto& page : recent.pages) {
            gripped_.remember(thread, core::PageRef::from(page.load(std::memory_order_relaxed)));
        }
    }

    std::array<Recent, 256> recent_{};           // a hash table by thread
    Recent gripped_{};                           // the pages that eviction spares
    std::atomic<std::uint64_t> holder_{0};       // the thread that holds the grip; 0: none
    std::atomic<std::uint32_t> faults_held_{0};  // by the holder since it took the grip
    std::atomic<std::uint32_t> refused_{0};      // requests since then
};

}  // namespace faultline::pager
