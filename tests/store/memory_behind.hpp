// A store in ordinary memory, for compressed stores to spill to. It counts, blocks, fails and corrupts on demand, and
// detects two writes of one page in flight. It copies bytes as atomic words: a read across unused pages may meet a
// write.
#pragma once

#include "core/units.hpp"
#include "store/backing_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {

/// Blocks writes while it is closed. The test waits until they have come.
class WriteGate {
public:
    void close() { open_.store(false); }
    void open() {
        open_.store(true);
        open_.notify_all();
    }
    void pass() noexcept {
        arrived_.fetch_add(1);
        arrived_.notify_all();
        open_.wait(false);
    }
    void wait_for_arrivals(int count) const {
        for (int seen = arrived_.load(); seen < count; seen = arrived_.load()) arrived_.wait(seen);
    }

private:
    std::atomic<bool> open_{true};
    std::atomic<int> arrived_{0};
};

/// State that outlives the store, which its user owns.
struct Behind {
    explicit Behind(std::uint64_t bytes) : words(bytes / sizeof(std::uint64_t)), units(bytes / core::kUnitBytes) {}

    struct Unit {
        std::atomic<bool> held{false};
        std::atomic<bool> in_flight{false};
    };
    std::vector<std::uint64_t> words;
    std::vector<Unit> units;

    std::atomic<int> reads{0};
    std::atomic<int> writes{0};
    std::atomic<int> discards{0};
    std::atomic<int> write_error{0};
    std::atomic<unsigned> fail_one_write_in{0};
    std::atomic<int> read_error{0};
    std::atomic<bool> drops_writes{false};  // and reports success
    std::atomic<int> yields{0};             // how often a transfer yields in the middle
    std::atomic<int> overlapping_writes{0};
    WriteGate gate;

    [[nodiscard]] std::uint64_t units_held() const {
        std::uint64_t count = 0;
        for (const Unit& unit : units) count += unit.held.load() ? 1U : 0U;
        return count;
    }
    [[nodiscard]] bool holds(std::uint64_t unit) const { return units[unit].held.load(); }
    void flip_bit(std::uint64_t offset) { words[offset / sizeof(std::uint64_t)] ^= 1; }
};

class MemoryBehind final : public store::BackingStore {
public:
    explicit MemoryBehind(std::shared_ptr<Behind> behind) : behind_{std::move(behind)} {}

    int read(std::uint64_t offset, std::span<std::byte> into) noexcept override {
        behind_->reads.fetch_add(1);
        if (const int error = behind_->read_error.load()) return error;
        for (std::size_t at = 0; at < into.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t word = word_at(offset + at).load(std::memory_order_relaxed);
            std::memcpy(into.data() + at, &word, sizeof word);
            if (at == into.size() / 2) let_others_run();
        }
        return 0;
    }

    int write(std::uint64_t offset, std::span<const std::byte> from) noexcept override {
        const int number = behind_->writes.fetch_add(1);
        mark_in_flight(offset, from.size(), true);
        behind_->gate.pass();
        int error = behind_->write_error.load();
        const unsigned one_in = behind_->fail_one_write_in.load();
        if (one_in != 0 && static_cast<unsigned>(number) % one_in == 0) error = ENOSPC;
        for (std::size_t at = 0; error == 0 && !behind_->drops_writes.load() && at < from.size(); at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, from.data() + at, sizeof word);
            word_at(offset + at).store(word, std::memory_order_relaxed);
            if (at == from.size() / 2) let_others_run();
        }
        if (error == 0) set_held(offset, from.size(), true);
        mark_in_flight(offset, from.size(), false);
        return error;
    }

    void discard(std::uint64_t offset, std::uint64_t bytes) noexcept override {
        behind_->discards.fetch_add(1);
        set_held(offset, bytes, false);
        for (std::uint64_t at = 0; at < bytes; at += 8) word_at(offset + at).store(0, std::memory_order_relaxed);
    }

private:
    [[nodiscard]] std::atomic_ref<std::uint64_t> word_at(std::uint64_t offset) noexcept {
        return std::atomic_ref{behind_->words[offset / sizeof(std::uint64_t)]};
    }
    void let_others_run() noexcept {
        for (int i = behind_->yields.load(); i > 0; --i) std::this_thread::yield();
    }
    void mark_in_flight(std::uint64_t offset, std::uint64_t bytes, bool on) noexcept {
        for (std::uint64_t at = offset; at < offset + bytes; at += core::kUnitBytes) {
            if (behind_->units[at / core::kUnitBytes].in_flight.exchange(on) == on) {
                behind_->overlapping_writes.fetch_add(1);
            }
        }
    }
    void set_held(std::uint64_t offset, std::uint64_t bytes, bool held) noexcept {
        for (std::uint64_t at = offset; at < offset + bytes; at += core::kUnitBytes) {
            behind_->units[at / core::kUnitBytes].held.store(held);
        }
    }

    std::shared_ptr<Behind> behind_;
};

}  // namespace faultline::test
