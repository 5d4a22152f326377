// Write queues for tests: one counts and fails on demand, one lets a test act in the middle of a batch.
#pragma once

#include "store/write_queue.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace faultline::test {

/// Writes sequentially. Counts what it is given. Writes fail with `error` if that is not 0, or only some of them.
class CountingQueue final : public store::WriteQueue {
public:
    void write(std::span<store::FileWrite> writes) noexcept override {
        for (store::FileWrite& one : writes) {
            parts.push_back(one.parts.size());
            const bool fails = error != 0 && (fail_one_in == 0 || parts.size() % fail_one_in == 0);
            one.error = fails ? error : one.device->write(one.offset, one.parts);
        }
    }

    std::vector<std::size_t> parts;  // of each write
    int error = 0;
    std::size_t fail_one_in = 0;
};

/// Calls a function before it writes the first batch.
class IntrudingQueue final : public store::WriteQueue {
public:
    explicit IntrudingQueue(std::function<void()> intrude) : intrude_{std::move(intrude)} {}

    void write(std::span<store::FileWrite> writes) noexcept override {
        if (!writes.empty() && intrude_) std::exchange(intrude_, nullptr)();
        store::SequentialWriteQueue{}.write(writes);
    }
    [[nodiscard]] bool has_intruded() const { return intrude_ == nullptr; }

private:
    std::function<void()> intrude_;
};

}  // namespace faultline::test
