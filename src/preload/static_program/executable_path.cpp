#include "preload/static_program/executable_path.hpp"

#include "core/units.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_memory.hpp"
#include "sys/syscall.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

/// The beginning of a text of the program. Empty if the program's address is invalid.
class TextBeginning {
public:
    explicit TextBeginning(std::uint64_t address) noexcept {
        const std::uint64_t rest = core::kUnitBytes - address % core::kUnitBytes;
        read(address, std::min<std::uint64_t>(rest, bytes_.size()));
        if (length() == read_ && read_ < bytes_.size()) read(address + read_, bytes_.size() - read_);
    }

    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), length()}; }

private:
    [[nodiscard]] std::size_t length() const noexcept { return ::strnlen(bytes_.data(), read_); }

    void read(std::uint64_t address, std::size_t bytes) noexcept {
        touch_managed(address, bytes);
        const iovec into{bytes_.data() + read_, bytes};
        const iovec from{pointer<void>(address), bytes};
        const long got = raw_syscall(SYS_process_vm_readv, raw_syscall(SYS_getpid), syscall_argument(&into), 1,
                                     syscall_argument(&from), 1, 0);
        if (got > 0) read_ += static_cast<std::size_t>(got);
    }

    std::array<char, 32> bytes_;
    std::size_t read_ = 0;
};

/// Returns true for "/proc/self/exe", "/proc/thread-self/exe" and "/proc/<this process>/exe".
bool is_own_link(std::string_view path) noexcept {
    constexpr std::string_view kBegin = "/proc/";
    constexpr std::string_view kEnd = "/exe";
    if (path.size() < kBegin.size() + kEnd.size() || path.substr(0, kBegin.size()) != kBegin ||
        path.substr(path.size() - kEnd.size()) != kEnd) {
        return false;
    }
    const std::string_view process = path.substr(kBegin.size(), path.size() - kBegin.size() - kEnd.size());
    if (process == "self" || process == "thread-self") return true;
    long number = 0;
    const char* const end = process.data() + process.size();
    const auto parsed = std::from_chars(process.data(), end, number);
    return parsed.ec == std::errc{} && parsed.ptr == end && number == raw_syscall(SYS_getpid);
}

/// Returns the index of the argument that is the path; nothing if the call is none of those that are answered.
std::optional<std::size_t> path_argument(long number) noexcept {
    switch (number) {
        case SYS_open:
        case SYS_readlink:
            return 0;
        case SYS_openat:
        case SYS_readlinkat:
            return 1;
        default:
            return std::nullopt;
    }
}

}  // namespace

const char* ExecutablePath::replacement_for(std::uint64_t address) noexcept {
    return path_ != nullptr && is_own_link(TextBeginning{address}.view()) ? path_ : nullptr;
}

bool ExecutablePath::is_absolute(std::uint64_t address) noexcept {
    return TextBeginning{address}.view().substr(0, 1) == "/";
}

std::optional<long> ExecutablePath::answer(Call& call) noexcept {
    const std::optional<std::size_t> index = path_argument(call.number);
    const char* const path = index ? replacement_for(call.arguments[*index]) : nullptr;
    if (path == nullptr) return std::nullopt;
    call.arguments[*index] = syscall_argument(path);
    if (call.number == SYS_open || call.number == SYS_openat) return std::nullopt;
    const auto room = static_cast<std::int32_t>(call.arguments[*index + 2]);
    if (room <= 0) return -EINVAL;
    const std::size_t bytes = std::min<std::size_t>(std::strlen(path), static_cast<std::size_t>(room));
    if (!permits(call.arguments[*index + 1], bytes, PinFor::writing)) return -EFAULT;
    std::memcpy(pointer<char>(call.arguments[*index + 1]), path, bytes);
    return static_cast<long>(bytes);
}

}  // namespace faultline::preload
