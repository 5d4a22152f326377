// FixedText: text built in a buffer of fixed size, without the C library, so that a signal handler can build and write
// it: messages to standard error, and paths for system calls. Text that does not fit is cut off.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace faultline::sys {

/// Holds up to `kBytes` characters. Signal-safe.
template <std::size_t kBytes>
class FixedText {
public:
    FixedText& operator<<(std::string_view text) FAULTLINE_SIGNAL_SAFE {
        const std::size_t fits = std::min(text.size(), kBytes - length_);
        for (std::size_t i = 0; i < fits; ++i) text_[length_ + i] = text[i];
        length_ += fits;
        text_[length_] = '\0';
        return *this;
    }
    FixedText& decimal(std::uint64_t value) FAULTLINE_SIGNAL_SAFE { return number(value, 10); }
    /// Appends an address as "0x7f...".
    FixedText& address(std::uintptr_t value) FAULTLINE_SIGNAL_SAFE { return (*this << "0x").number(value, 16); }

    [[nodiscard]] std::string_view view() const FAULTLINE_SIGNAL_SAFE { return {text_.data(), length_}; }
    [[nodiscard]] const char* c_str() const FAULTLINE_SIGNAL_SAFE { return text_.data(); }

    /// Writes the text with one system call. A short write loses the end: there is no better place to report it.
    void write_to_standard_error() const FAULTLINE_SIGNAL_SAFE {
        static_cast<void>(raw_syscall(SYS_write, 2, syscall_argument(text_.data()), length_));
    }

private:
    FixedText& number(std::uint64_t value, int base) FAULTLINE_SIGNAL_SAFE {
        std::array<char, 20> digits;  // of 2^64 - 1
        const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
        return *this << std::string_view{digits.data(), static_cast<std::size_t>(end - digits.data())};
    }

    std::array<char, kBytes + 1> text_{};
    std::size_t length_ = 0;
};

}  // namespace faultline::sys
