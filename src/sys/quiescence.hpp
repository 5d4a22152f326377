// Quiescence: lets readers follow pointers without a lock, and lets writers wait until no reader can hold an old
// pointer. It is sleepable read-copy-update after Paul McKenney's SRCU, with two sets of counters. The writer switches
// the sets and waits until the old set has drained, twice. Readers are signal-safe and may sleep; writers are control
// calls.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/cpu.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace faultline::sys {

class Quiescence {
public:
    /// While a Reader lives, its thread may use all data that `synchronize` protects.
    class Reader {
    public:
        explicit Reader(Quiescence& quiescence) FAULTLINE_SIGNAL_SAFE : quiescence_{quiescence},
                                                                        set_{quiescence.current_.load() & 1U},
                                                                        shard_{sys::current_cpu() % kShards} {
            quiescence_.shards_[shard_].entered[set_].fetch_add(1);
        }
        ~Reader() { quiescence_.shards_[shard_].left[set_].fetch_add(1); }
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;

    private:
        Quiescence& quiescence_;
        unsigned set_;
        std::size_t shard_;
    };

    /// Returns when every reader that existed at the call is gone. The caller must not be a reader.
    void synchronize();

    /// Forgets the parent's readers, which never leave in a child of fork. No thread of the child may be a reader.
    void start_in_child() noexcept {
        for (Shard& shard : shards_) {
            for (unsigned set = 0; set < 2; ++set) shard.left[set].store(shard.entered[set].load());
        }
    }

private:
    static constexpr std::size_t kShards = 16;
    // Readers of one set, by the CPU they entered on. A reader leaves on the shard that it entered.
    struct alignas(64) Shard {
        std::array<std::atomic<std::uint64_t>, 2> entered{};
        std::array<std::atomic<std::uint64_t>, 2> left{};
    };

    void drain(unsigned set);

    std::array<Shard, kShards> shards_{};
    std::atomic<unsigned> current_{0};  // the lowest bit is the set of new readers; sequentially consistent
    std::mutex writers_;                // serialises synchronize()
};

}  // namespace faultline::sys
