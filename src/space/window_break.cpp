#include "space/window_break.hpp"

#include "core/units.hpp"

#include <sys/mman.h>

#include <cerrno>

namespace faultline::space {
namespace {

constexpr std::uint64_t kFixedNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE

std::uintptr_t page_end(std::uintptr_t address) noexcept { return core::align_up(address, core::kUnitBytes); }

}  // namespace

std::uintptr_t WindowBreak::move(std::uintptr_t address, std::uint64_t most_bytes) {
    const bool in_window = address >= begin_ && address <= window_.range().end;
    if (!in_window) return break_;
    const bool grows = address > break_;
    if (grows && address - begin_ > most_bytes) return break_;
    const AddressRange change =
        grows ? AddressRange{page_end(break_), page_end(address)} : AddressRange{page_end(address), page_end(break_)};
    if (change.empty() || resize(change, grows) == 0) break_ = address;
    return break_;
}

/// Returns 0 or a negated errno: -EEXIST if the program has mapped something else there, -EINVAL if it has unmapped all
/// memory that is to go (Linux since 6.1 leaves the break then).
long WindowBreak::resize(AddressRange change, bool grows) {
    if (!grows) return window_.is_free(change) ? -EINVAL : window_.unmap(change);
    const MapRequest zeros{PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | kFixedNoReplace, ~std::uint64_t{0}, 0};
    const long mapped = window_.map_fixed(change, zeros);
    return mapped == static_cast<long>(change.begin) ? 0 : mapped;
}

}  // namespace faultline::space
