#include "guest/host_descriptors.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>

namespace faultline::demo::guest {
namespace {

constexpr int kLowNumbers = 64;

}  // namespace

std::set<unsigned> HostDescriptors::open_now() {
    std::set<unsigned> all;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        const std::string name = entry.path().filename().string();
        unsigned number = 0;
        std::from_chars(name.data(), name.data() + name.size(), number);
        all.insert(number);
    }
    // The descriptor of the directory that was just read is closed by now.
    std::erase_if(all, [](unsigned number) { return ::fcntl(static_cast<int>(number), F_GETFD) < 0; });
    return all;
}

/// An error is ignored: the numbers are then low ones.
HostDescriptors::OnlyHigh::OnlyHigh() {
    for (;;) {
        const int filler = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (filler < 0) return;
        fillers_.push_back(filler);
        if (filler >= kLowNumbers) return;
    }
}

HostDescriptors::OnlyHigh::~OnlyHigh() {
    for (const int filler : fillers_) ::close(filler);
}

void HostDescriptors::claim() {
    for (const unsigned number : open_now()) {
        if (before_.count(number) == 0) mine_.insert(number);
    }
}

bool HostDescriptors::has(std::uint64_t descriptor) const noexcept {
    return mine_.count(static_cast<unsigned>(descriptor)) != 0;
}

long HostDescriptors::close_range(std::uint64_t first, std::uint64_t last, std::uint64_t flags) const noexcept {
    unsigned from = static_cast<unsigned>(first);
    const auto to = static_cast<unsigned>(last);
    if (from > to) return -EINVAL;
    const auto close = [flags](unsigned begin, unsigned end) noexcept {
        return ::syscall(SYS_close_range, begin, end, flags) == 0 ? 0 : -long{errno};
    };
    for (const unsigned mine : mine_) {
        if (mine < from) continue;
        if (mine > to) break;
        if (mine > from) {
            if (const long error = close(from, mine - 1)) return error;
        }
        if (mine == to) return 0;
        from = mine + 1;
    }
    return close(from, to);
}

}  // namespace faultline::demo::guest
