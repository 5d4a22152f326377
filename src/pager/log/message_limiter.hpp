// MessageLimiter: which of many messages of one kind are printed: the first at once, then at most one a second, with
// the number of those that were not. A value without a lock; the owner holds one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace faultline::pager {

class MessageLimiter {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::nanoseconds kPause = std::chrono::seconds{1};

    /// Whether a message is printed now. If not, it is counted.
    [[nodiscard]] bool admit(Time now) noexcept {
        if (left_out_ == 0 && may_print(now)) {
            printed_ = now;
            return true;
        }
        ++left_out_;
        return false;
    }

    /// Counts messages that were lost before they came here.
    void leave_out(std::uint64_t messages) noexcept { left_out_ += messages; }

    /// How many messages were left out, where it is time to say so; begins a new count.
    [[nodiscard]] std::uint64_t take_left_out(Time now) noexcept { return may_print(now) ? take_all(now) : 0; }

    /// The same without regard to the time.
    [[nodiscard]] std::uint64_t take_all(Time now) noexcept {
        if (left_out_ > 0) printed_ = now;
        const std::uint64_t count = left_out_;
        left_out_ = 0;
        return count;
    }

    /// When `take_left_out` has something to say; nothing where no message was left out.
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
