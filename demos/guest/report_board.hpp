// What the child process, in which the program runs, leaves for its parent: how the program ended, and the report as
// text. The program may have closed standard error by then.
#pragma once

#include "guest/guest.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace faultline::demo::guest {

/// Made before fork; the child writes, the parent reads after the child has ended.
class ReportBoard {
public:
    /// Throws std::system_error.
    ReportBoard();
    ~ReportBoard();
    ReportBoard(const ReportBoard&) = delete;
    ReportBoard& operator=(const ReportBoard&) = delete;

    /// `text` is cut where there is no room for it.
    void write(const GuestEnd& end, std::string_view text) noexcept;

    /// Whether the child has come so far.
    [[nodiscard]] bool written() const noexcept;
    [[nodiscard]] const GuestEnd& end() const noexcept;
    [[nodiscard]] std::string_view text() const noexcept;

private:
    struct Contents;
    Contents* contents_;
};

}  // namespace faultline::demo::guest
