// A BlockFile in memory whose next transfers follow a script: short, interrupted, failing, ending early.
#pragma once

#include "store/block_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <utility>
#include <vector>

namespace faultline::test {

class ScriptedFile final : public store::BlockFile {
public:
    /// A transfer that moves everything it is asked for.
    static constexpr long kAll = std::numeric_limits<long>::max();

    explicit ScriptedFile(std::size_t bytes) : contents(bytes) {}

    /// Sets the results of the next transfers: at most that many bytes, 0, or a negated errno. Later transfers use
    /// `then`.
    void follow(std::deque<long> script, long then = kAll) {
        script_ = std::move(script);
        then_ = then;
        transfers = 0;
    }

    [[nodiscard]] long read_at(void* into, std::size_t bytes, std::uint64_t offset) noexcept override {
        const std::size_t granted = next(bytes, offset);
        std::memcpy(into, contents.data() + offset, granted);
        return result_;
    }
    [[nodiscard]] long write_at(const void* from, std::size_t bytes, std::uint64_t offset) noexcept override {
        const std::size_t granted = next(bytes, offset);
        std::memcpy(contents.data() + offset, from, granted);
        return result_;
    }
    void punch(std::uint64_t offset, std::uint64_t bytes) noexcept override { punched.emplace_back(offset, bytes); }

    std::vector<std::byte> contents;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> punched;
    std::size_t transfers = 0;

private:
    std::size_t next(std::size_t bytes, std::uint64_t offset) {
        ++transfers;
        long answer = then_;
        if (!script_.empty()) {
            answer = script_.front();
            script_.pop_front();
        }
        if (answer <= 0) {
            result_ = answer;
            return 0;
        }
        const std::size_t there = contents.size() - std::min<std::size_t>(offset, contents.size());
        const std::size_t granted = std::min({bytes, static_cast<std::size_t>(answer), there});
        result_ = static_cast<long>(granted);
        return granted;
    }

    std::deque<long> script_;
    long then_ = kAll;
    long result_ = 0;
};

}  // namespace faultline::test
