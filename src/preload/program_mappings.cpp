#include "preload/program_mappings.hpp"

#include "core/units.hpp"
#include "pager/log/standard_error_log.hpp"
#include "preload/managed_memory.hpp"
#include "space/placement.hpp"
#include "sys/mapping.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <system_error>

namespace faultline::preload {
namespace {

using core::AddressRange;

// Smaller mappings cost more system calls to manage than they hold pages.
constexpr std::size_t kLeastBytes = std::size_t{64} << 10;

constexpr std::uint64_t kFixedFlags = MAP_FIXED | 0x100000;  // MAP_FIXED_NOREPLACE

// Below the addresses at which the kernel places mappings in any of its layouts, and above those that programs name.
constexpr std::uintptr_t kLowest = std::uintptr_t{4} << 40;
constexpr unsigned kRandomBits = 32;  // of the page number

// As many pages as a region may have.
constexpr std::size_t kLargestWindow = (std::size_t{16} << 40) - core::kUnitBytes;
constexpr std::size_t kSmallestWindow = std::size_t{1} << 30;

void leaving(core::PageRange pages) { ManagedMemory::window()->forget_requests(pages); }

/// Returns null if the process or the machine lacks the addresses for a window of this size and its tables.
space::MappingWindow* try_window(pager::Pager& pager, std::size_t bytes) {
    const std::uintptr_t begin = space::random_address(kLowest, kRandomBits);
    void* const address = core::pointer_to(begin);
    if (!sys::close_if_free(address, bytes)) return nullptr;
    if (sys::unmap(address, bytes) != 0) return nullptr;
    try {
        return new space::MappingWindow{pager, {begin, begin + bytes}, &leaving};
    } catch (const std::system_error& error) {
        if (error.code().value() != ENOMEM) throw;
        return nullptr;
    }
}

space::MapRequest request_of(const Call& call) noexcept {
    const auto& a = call.arguments;
    return {a[2], a[3], a[4], a[5]};
}

bool is_fixed(const Call& call) noexcept { return (call.arguments[3] & kFixedFlags) != 0; }

/// Calls `act`, which may run out of memory for records.
template <typename Act>
long without_exceptions(Act act) noexcept {
    try {
        return act();
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

}  // namespace

void ProgramMappings::start(pager::Pager& pager) {
    for (std::size_t bytes = kLargestWindow; bytes >= kSmallestWindow && window_ == nullptr;
         bytes = core::align_down(bytes / 2, core::kUnitBytes)) {
        window_ = try_window(pager, bytes);
    }
    if (window_ != nullptr) {
        ManagedMemory::add_window(window_->region());
    } else {
        pager::say_on_standard_error(LogLevel::warning,
                                     "memory that the program maps is not managed: there are no addresses for it; see "
                                     "`ulimit -v` and `sysctl vm.overcommit_memory`");
    }
}

bool ProgramMappings::concerns_map(const Call& call) noexcept {
    if (window_ == nullptr) return false;
    const AddressRange range = whole_units(is_fixed(call) ? call.arguments[0] : 0, call.arguments[1]);
    if (is_fixed(call)) return range.overlaps(window_->range());
    return !call.of_neighbour && range.bytes() >= kLeastBytes && request_of(call).manageable();
}

std::optional<long> ProgramMappings::map(const Call& call) noexcept {
    if (!concerns_map(call)) return std::nullopt;
    const space::MapRequest request = request_of(call);
    const bool fixed = is_fixed(call);
    const AddressRange range = whole_units(fixed ? call.arguments[0] : 0, call.arguments[1]);
    if (fixed && !window_->range().contains(range)) return -ENOMEM;
    const std::lock_guard lock{changing_};
    const long result = without_exceptions([&] {
        return fixed ? window_->map_fixed(range, request) : window_->map(call.arguments[0], range.bytes(), request);
    });
    if (!fixed && result == -ENOMEM) return std::nullopt;  // the window is full; the kernel may have other addresses
    return result;
}

std::optional<long> ProgramMappings::remap(const Call& call) noexcept {
    if (window_ == nullptr) return std::nullopt;
    const auto& [old_address, old_bytes, new_bytes, flags, new_address, unused] = call.arguments;
    const bool from = addresses(old_address, old_bytes).overlaps(window_->range());
    const bool to = (flags & MREMAP_FIXED) != 0 && addresses(new_address, new_bytes).overlaps(window_->range());
    if (!from && !to) return std::nullopt;
    const std::lock_guard lock{changing_};
    return without_exceptions([&, request = space::RemapRequest{old_address, old_bytes, new_bytes, flags,
                                                                new_address}] { return window_->remap(request); });
}

long ProgramMappings::unmap(AddressRange range) noexcept {
    const std::lock_guard lock{changing_};
    return without_exceptions([&] { return window_->unmap(range); });
}

long ProgramMappings::protect(AddressRange range, std::uint64_t protection) noexcept {
    const std::lock_guard lock{changing_};
    return without_exceptions([&] { return window_->protect(range, protection); });
}

long ProgramMappings::give_to_kernel(AddressRange range) noexcept {
    if (window_ == nullptr || !window_->range().contains(range)) return 0;
    const std::lock_guard lock{changing_};
    return without_exceptions([&] { return window_->give_to_kernel(range); });
}

}  // namespace faultline::preload
