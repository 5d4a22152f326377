// ReportBoard: shared memory in which the child process leaves the report and how the program ended, for its parent.
// The child does not print it itself, because the program may have closed standard error.
#pragma once

#include "guest/guest.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace faultline::demo::guest {

/// Made before fork. The child writes; the parent reads after the child has ended.
class ReportBoard {
public:
    /// Maps the shared memory. Throws std::system_error.
    ReportBoard();
    ~ReportBoard();
    ReportBoard(const ReportBoard&) = delete;
    ReportBoard& operator=(const ReportBoard&) = delete;

    /// Writes the board. `text` is truncated if it is too long.
    void write(const GuestEnd& end, std::string_view text) noexcept;

    /// Returns whether the child has written the board.
    [[nodiscard]] bool written() const noexcept;
    [[nodiscard]] const GuestEnd& end() const noexcept;
    [[nodiscard]] std::string_view text() const noexcept;

private:
    struct Contents;
    Contents* contents_;
};

}  // namespace faultline::demo::guest
