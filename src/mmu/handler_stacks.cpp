#include "mmu/handler_stacks.hpp"

#include "core/units.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"
#include "sys/mapping_limit.hpp"

#include <bit>

using faultline::mmu::HandlerStackPool;

extern "C" {
[[gnu::visibility("hidden")]] constinit HandlerStackPool faultline_handler_stacks;
}

namespace faultline::mmu {
namespace {

// More than twice what the deepest path uses (tests/traps/small_stacks_test.cpp): stores of the program run on this
// stack, too. AlternateStack has more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kLeastRoom = std::size_t{48} << 10;  // frames are several times larger
#else
constexpr std::size_t kLeastRoom = std::size_t{16} << 10;
#endif

HandlerStackPool& pool() noexcept { return faultline_handler_stacks; }

/// Makes a guard page. Without guard markers (before Linux 6.13) each guard page is a mapping of its own.
void guard(std::byte* page) {
    if (sys::advise(page, core::kUnitBytes, sys::abi::kAdviseGuardInstall) == 0) return;
    if (const int error = sys::set_access(page, core::kUnitBytes, Access::none)) {
        sys::throw_mapping_error(error, "cannot guard the stacks of the fault handler");
    }
}

}  // namespace

void HandlerStacks::prepare() {
    if (pool().begin != 0) return;
    sys::Mapping stacks =
        sys::Mapping::reserve(kStacks * kStackBytes, kStackBytes, true, "the stacks of the fault handler");
    for (unsigned i = 0; i < kStacks; ++i) guard(stacks.data() + i * kStackBytes);
    // Includes the stacks in core dumps: they show where a process aborted in the handler. Failure only loses that.
    static_cast<void>(sys::set_dumped(stacks.data(), stacks.size(), true));
    pool().least_room = kLeastRoom;
    pool().begin = core::address_of(stacks.data());
    stacks.abandon();  // a handler may run at any time from now on
}

void HandlerStacks::forget_other_threads() noexcept {
    const std::uintptr_t here = core::address_of(__builtin_frame_address(0));
    const std::uintptr_t offset = here - pool().begin;
    const bool on_one = pool().begin != 0 && offset < kStacks * kStackBytes;  // a store of the program has forked
    pool().taken.store(on_one ? std::uint64_t{1} << offset / kStackBytes : 0);
    pool().sleepers.store(0);
}

unsigned HandlerStacks::taken() FAULTLINE_SIGNAL_SAFE {
    return static_cast<unsigned>(std::popcount(pool().taken.load()));
}

}  // namespace faultline::mmu
