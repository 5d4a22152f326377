#include "preload/program_mappings.hpp"

#include "core/units.hpp"
#include "pager/log/standard_error_log.hpp"
#include "preload/managed_memory.hpp"
#include "space/placement.hpp"
#include "sys/file_read.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

namespace faultline::preload {
namespace {

using core::AddressRange;

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

bool is_fixed(const Call& call) noexcept { return (call.arguments[3] & kFixedFlags) != 0; }

/// Returns true for new memory that the pager has to keep resident.
bool is_locked(const Call& call) noexcept {
    const auto& a = call.arguments;
    constexpr std::uint64_t kFlags = MAP_LOCKED | MAP_ANONYMOUS;
    return !is_fixed(call) && (a[3] & kFlags) == kFlags && (a[2] & PROT_WRITE) != 0;
}

space::MapRequest request_of(const Call& call) noexcept {
    const auto& a = call.arguments;
    return {a[2], is_locked(call) ? a[3] & ~std::uint64_t{MAP_LOCKED} : a[3], a[4], a[5]};
}

/// Locks new memory, as mmap(2) does with MAP_LOCKED. Returns its address, or a negated errno: then it is unmapped. The
/// pages may have to wait for others to leave, so no lock is held.
long lock_new(std::uintptr_t address, std::size_t bytes) noexcept {
    RegionMemory& window = *ManagedMemory::window();
    const long error = window.lock({window.region().page_of(address), bytes / core::kUnitBytes});
    if (error == 0) return static_cast<long>(address);
    static_cast<void>(ProgramMappings::unmap({address, address + bytes}));
    return error == -ENOMEM ? -EAGAIN : error;
}

/// Returns the size of the program's data and BSS sections; 0 if the kernel does not tell.
std::uint64_t bytes_of_data_sections() noexcept {
    std::array<char, 1024> buffer;
    std::string_view text = sys::read_file_start("/proc/self/stat", buffer);
    text.remove_prefix(std::min(text.rfind(')') + 1, text.size()));
    constexpr int kStartOfData = 45 - 2;  // number of the field in proc(5), less those up to the name
    std::uint64_t bounds[2] = {};
    for (int field = 1; !text.empty() && field <= kStartOfData + 1; ++field) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        const std::size_t end = std::min(text.find(' '), text.size());
        if (field >= kStartOfData) std::from_chars(text.data(), text.data() + end, bounds[field - kStartOfData]);
        text.remove_prefix(end);
    }
    return bounds[1] - bounds[0];
}

/// Returns how large RLIMIT_DATA lets the memory below the break become. The kernel counts the data sections, too.
std::uint64_t most_break_bytes() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, bytes_of_data_sections());
}

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
        break_ = new space::WindowBreak{*window_};
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
    const space::MapRequest request = request_of(call);
    return !call.of_neighbour && !range.empty() && (request.manageable() || request.copies_file(range.bytes()));
}

std::optional<long> ProgramMappings::map(const Call& call) noexcept {
    if (!concerns_map(call)) return std::nullopt;
    const space::MapRequest request = request_of(call);
    const bool fixed = is_fixed(call);
    const AddressRange range = whole_units(fixed ? call.arguments[0] : 0, call.arguments[1]);
    if (fixed && !window_->range().contains(range)) return -ENOMEM;
    if (request.copies_file(range.bytes())) has_copies_.store(true, std::memory_order_relaxed);
    const auto make = [&] {
        const std::lock_guard lock{changing_};
        if (fixed) return window_->map_fixed(range, request);
        if (request.manageable()) return window_->map(call.arguments[0], range.bytes(), request);
        return window_->map_file(call.arguments[0], range.bytes(), request).value_or(-ENOMEM);
    };
    const long result = without_exceptions(make);
    // The window is full, and the kernel may have other addresses; or the kernel is to map the file.
    if (!fixed && result == -ENOMEM) return std::nullopt;
    return result > 0 && is_locked(call) ? lock_new(static_cast<std::uintptr_t>(result), range.bytes()) : result;
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

std::optional<long> ProgramMappings::move_break(const Call& call) noexcept {
    if (break_ == nullptr || call.of_neighbour) return std::nullopt;
    const std::lock_guard lock{changing_};
    if (window_ == nullptr) return static_cast<long>(break_->get());
    const auto move = [&] { return static_cast<long>(break_->move(call.arguments[0], most_break_bytes())); };
    const long result = without_exceptions(move);
    return result > 0 ? result : static_cast<long>(break_->get());
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

AddressRange ProgramMappings::first_file_part(AddressRange range) noexcept {
    if (!has_copies_.load(std::memory_order_relaxed)) return {};  // allocators discard memory often
    const std::lock_guard lock{changing_};
    return window_->first_file_part(range);
}

long ProgramMappings::restore_files(AddressRange range) noexcept {
    const std::lock_guard lock{changing_};
    const pager::Region& region = window_->region();
    const core::PageRange pages{region.page_of(range.begin), range.bytes() / core::kUnitBytes};
    if (ManagedMemory::window()->has_locked(pages)) return -EINVAL;
    return without_exceptions([&] { return window_->restore_files(range); });
}

AddressRange ProgramMappings::first_mapping(AddressRange range) noexcept {
    const AddressRange inside = range.part_in(window_->range());
    if (inside.empty()) return range;
    if (range.begin < inside.begin) return {range.begin, inside.begin};
    const std::lock_guard lock{changing_};
    return window_->first_mapping(inside);
}

void ProgramMappings::advise_fork(AddressRange range, int advice) noexcept {
    if (range.empty()) return;
    const std::lock_guard lock{changing_};
    static_cast<void>(without_exceptions([&] {
        window_->advise_fork(range, advice);
        return 0L;
    }));
}

void ProgramMappings::start_in_child() noexcept {
    if (window_ == nullptr) return;
    static_cast<void>(without_exceptions([] {
        for (const auto& [range, rule] : window_->fork_rules()) {
            if (rule.left_out) {
                static_cast<void>(unmap(range));
                continue;
            }
            const auto wipe = [](const ManagedMemory::Part& part) {
                return part.memory.advise(part.pages(), sys::abi::kAdviseDontneedLocked);
            };
            static_cast<void>(ManagedMemory::for_each_part(range, wipe));
        }
        return 0L;
    }));
}

void ProgramMappings::start_without_pager() noexcept {
    space::MappingWindow* const window = std::exchange(window_, nullptr);
    if (window == nullptr) return;
    for (const auto& [range, rule] : window->fork_rules()) {
        void* const address = core::pointer_to(range.begin);
        if (rule.left_out) {
            static_cast<void>(sys::unmap(address, range.bytes()));
        } else {
            static_cast<void>(sys::advise(address, range.bytes(), MADV_DONTNEED));
        }
    }
}

}  // namespace faultline::preload
