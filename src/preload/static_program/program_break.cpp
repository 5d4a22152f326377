#include "preload/static_program/program_break.hpp"

#include "core/units.hpp"
#include "preload/managed_memory.hpp"
#include "preload/program_mappings.hpp"
#include "sys/error.hpp"
#include "sys/futex_lock.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

namespace faultline::preload {
namespace {

constexpr std::size_t kMostBreakBytes = std::size_t{1} << 40;
constexpr std::size_t kShare = 4;  // of the window: at most one part in so many

constinit sys::FutexLock moving;

long reserve(std::uint64_t address, std::size_t bytes, std::uint64_t more_flags) noexcept {
    const Call call{
        SYS_mmap,
        {address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | more_flags, ~std::uint64_t{0}, 0}};
    return ProgramMappings::map(call).value_or(-ENOMEM);
}

}  // namespace

void ProgramBreak::start() {
    const std::size_t window = ManagedMemory::window_range().bytes();
    const std::size_t bytes = std::min(kMostBreakBytes, core::align_down(window / kShare, core::kUnitBytes));
    const long begin = reserve(0, bytes, 0);
    if (const int error = sys::error_of(begin)) {
        sys::throw_error(error, "no addresses for the memory of a static program");
    }
    reserved_ = {static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(begin) + bytes};
    break_ = reserved_.begin;
}

std::uint64_t ProgramBreak::move(std::uint64_t wanted) noexcept {
    const std::lock_guard lock{moving};
    if (wanted < reserved_.begin || wanted > reserved_.end) return break_;
    if (resize(core::align_up(break_, core::kUnitBytes), core::align_up(wanted, core::kUnitBytes))) break_ = wanted;
    return break_;
}

bool ProgramBreak::resize(std::uint64_t from, std::uint64_t to) noexcept {
    if (from < to) return ProgramMappings::protect({from, to}, PROT_READ | PROT_WRITE) == 0;
    return from == to || sys::error_of(reserve(to, from - to, MAP_FIXED)) == 0;
}

void ProgramBreak::before_fork() noexcept { moving.lock(); }
void ProgramBreak::after_fork() noexcept { moving.unlock(); }

}  // namespace faultline::preload
