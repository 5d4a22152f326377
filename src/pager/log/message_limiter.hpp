// MessageLimiter: decides which of many messages of one kind are printed: the first at once, then at most one per
// second, with the number of those left out. It neither prints nor reads a clock. EventLog has one per kind of event.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace faultline::pager {

/// A value without a lock: the owner's lock guards it.
class MessageLimiter {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::nanoseconds kPause = std::chrono::seconds{1};  // between two messages

    /// Returns whether a message is printed now. Counts it if not.
    [[nodiscard]] bool admit(Time now) noexcept {
        if (left_out_ == 0 && may_print(now)) {
            printed_ = now;
            return true;
        }
        ++left_out_;
        return false;
    }

    /// Counts messages that were lost earlier, because a ring was full.
    void leave_out(std::uint64_t messages) noexcept { left_out_ += messages; }

    /// Returns the number of messages left out, and resets it, if a second has passed since the last message; else 0.
    [[nodiscard]] std::uint64_t take_left_out(Time now) noexcept { return may_print(now) ? take_all(now) : 0; }

    /// Returns the number of messages left out, and resets it, at any time.
    [[nodiscard]] std::uint64_t take_all(Time now) noexcept {
        if (left_out_ > 0) printed_ = now;
        const std::uint64_t count = left_out_;
        left_out_ = 0;
        return count;
    }

    /// Returns the time from which `take_left_out` returns more than 0; nothing if no message was left out.
    [[nodiscard]] std::optional<Time> due() const noexcept {
        if (left_out_ == 0) return std::nullopt;
        return printed_ ? *printed_ + kPause : Time::min();
    }

private:
    [[nodiscard]] bool may_print(Time now) const noexcept { return !printed_ || now - *printed_ >= kPause; }

    std::optional<Time> printed_;
    std::uint64_t left_out_ = 0;
};

}  // namespace faultline::pager
