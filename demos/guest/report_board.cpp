#include "guest/report_board.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>

namespace faultline::demo::guest {

struct ReportBoard::Contents {
    bool written = false;
    GuestEnd end;
    std::size_t bytes = 0;
    std::array<char, std::size_t{1} << 20> text;  // takes memory only where it is written
};

ReportBoard::ReportBoard() {
    void* const shared =
        ::mmap(nullptr, sizeof(Contents), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot have memory to share");
    contents_ = new (shared) Contents;
}

ReportBoard::~ReportBoard() { ::munmap(contents_, sizeof(Contents)); }

void ReportBoard::write(const GuestEnd& end, std::string_view text) noexcept {
    contents_->end = end;
    contents_->bytes = std::min(text.size(), contents_->text.size());
    std::copy_n(text.begin(), contents_->bytes, contents_->text.begin());
    contents_->written = true;
}

bool ReportBoard::written() const noexcept { return contents_->written; }
const GuestEnd& ReportBoard::end() const noexcept { return contents_->end; }
std::string_view ReportBoard::text() const noexcept { return {contents_->text.data(), contents_->bytes}; }

}  // namespace faultline::demo::guest
