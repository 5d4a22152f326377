#include "mmu/file_mappings.hpp"

#include "core/check.hpp"
#include "sys/error.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"
#include "sys/mapping_budget.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <string>

namespace faultline::mmu {
namespace {

// Units that are opened for guard markers at once: what one page table page of the kernel covers.
constexpr std::size_t kGuardStretch = 512;

constexpr std::int64_t kMappingsOfView = 2;  // at most; a view splits the mapping that it replaces

constexpr const char* kFramesName = "faultline frames";
constexpr const char* kPoisonName = "faultline poison";

constexpr int protection_of(UnitAccess access) noexcept {
    switch (access) {
        case UnitAccess::read:
            return PROT_READ;
        case UnitAccess::execute:
            return PROT_READ | PROT_EXEC;
        case UnitAccess::write:
        case UnitAccess::poisoned:
            return PROT_READ | PROT_WRITE;
        case UnitAccess::closed:
            break;
    }
    return PROT_NONE;
}

/// Returns true if the whole range is mapped. ENOMEM alone does not tell.
bool is_mapped(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t offset = 0; offset < bytes; offset += core::kUnitBytes) {
        unsigned char resident = 0;
        const long result = sys::raw_syscall(SYS_mincore, sys::syscall_argument(address) + offset, core::kUnitBytes,
                                             sys::syscall_argument(&resident));
        if (result == -ENOMEM) return false;
    }
    return true;
}

/// Returns `error`. On ENOMEM ends the process if the program has unmapped a part of the range; otherwise notes that
/// the mappings are exhausted.
int explained(int error, void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (error != ENOMEM) return error;
    FAULTLINE_REQUIRE(is_mapped(address, bytes),
                      "cannot change the protection of a page: has the program unmapped or remapped managed memory?");
    sys::MappingBudget::exhausted();
    return error;
}

int advise(void* address, std::size_t bytes, int advice) FAULTLINE_SIGNAL_SAFE {
    return explained(sys::advise(address, bytes, advice), address, bytes);
}

int set_protection(void* address, std::size_t bytes, int protection) FAULTLINE_SIGNAL_SAFE {
    // ENOMEM is returned: it may mean too many mappings, and the caller can evict pages that need many.
    sys::TransientWait wait{"mprotect"};
    for (;;) {
        const int error =
            sys::error_of(sys::raw_syscall(SYS_mprotect, sys::syscall_argument(address), bytes, protection));
        if (error == ENOMEM || !wait.again(error)) return explained(error, address, bytes);
    }
}

std::size_t bytes_of(core::UnitRange run) noexcept { return run.count * core::kUnitBytes; }

/// Installs guard markers. The kernel puts none into locked memory. If the program has locked its own (mlock,
/// mlockall), this unlocks the whole region, because a part would split it into several mappings.
int install_guards(const UnitMap& map, core::UnitRange run) FAULTLINE_SIGNAL_SAFE {
    const int error = advise(map.address_of(run.first), bytes_of(run), sys::abi::kAdviseGuardInstall);
    if (error != EINVAL) return error;
    sys::raw_syscall(SYS_munlock, sys::syscall_argument(map.address_of(0)), map.units() * core::kUnitBytes);
    return advise(map.address_of(run.first), bytes_of(run), sys::abi::kAdviseGuardInstall);
}

}  // namespace

FileMappings::FileMappings(Eviction wanted)
    : frames_{sys::MemoryFile::of_addresses(kFramesName)}, nothing_{sys::MemoryFile::empty(kPoisonName)} {
    if (wanted == Eviction::move || wanted == Eviction::copy) {
        sys::throw_error(EINVAL, std::string("Eviction::") + to_string(wanted) +
                                     " needs userfaultfd; Delivery::sigsegv supports protect and guard");
    }
    guards_ = wanted != Eviction::protect && guards_work();
    if (wanted == Eviction::guard && !guards_) {
        sys::throw_error(EOPNOTSUPP,
                         "this kernel has no guard markers for memory files (MADV_GUARD_INSTALL, Linux 6.15); use "
                         "Eviction::automatic or protect");
    }
    sys::MappingBudget::recount();
}

/// Tests guard markers with a system call on the page, which fails where an access would fault.
bool FileMappings::guards_work() {
    const sys::Mapping trial = sys::Mapping::reserve(2 * core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    std::byte* const page = trial.data();
    const std::uint64_t elsewhere = core::address_of(page + core::kUnitBytes);
    const auto usable = [&] { return frames_.write(page, 1, elsewhere) == 0; };
    bool works = frames_.map(page, core::kUnitBytes, core::address_of(page), PROT_READ | PROT_WRITE) == 0 && usable() &&
                 advise(page, core::kUnitBytes, sys::abi::kAdviseGuardInstall) == 0 && !usable();
    works = works && advise(page, core::kUnitBytes, sys::abi::kAdviseGuardRemove) == 0 && usable();
    frames_.free(core::address_of(page), trial.size());
    return works;
}

// ---- Regions

void FileMappings::watch_region(void* address, std::size_t bytes) {
    if (const int error = frames_.map(address, bytes, core::address_of(address), PROT_NONE)) {
        sys::throw_mapping_error(error, "cannot map the memory file of a region of " + sys::readable_bytes(bytes));
    }
    maps_.add(static_cast<std::byte*>(address), bytes);
    sys::MappingBudget::account(1);
}

void FileMappings::start_in_child() {
    frames_ = sys::MemoryFile::of_addresses(kFramesName);
    nothing_ = sys::MemoryFile::empty(kPoisonName);
}

void FileMappings::watch_again(void* address, std::size_t bytes) {
    if (const int error = frames_.map(address, bytes, core::address_of(address), PROT_NONE)) {
        sys::throw_error(error, "cannot map the memory file of a region in a child of fork");
    }
    const std::scoped_lock lock{maps_.lock()};
    sys::MappingBudget::account(maps_.at(address).forget());
}

void FileMappings::empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    // One new mapping replaces all old ones of the region.
    const int error = sys::wait_out("mmap of a region's memory file",
                                    [&] { return frames_.map(address, bytes, core::address_of(address), PROT_NONE); });
    FAULTLINE_REQUIRE(error == 0, "cannot unmap all pages of a region: has the program unmapped managed memory?");
    {
        const std::scoped_lock lock{maps_.lock()};
        sys::MappingBudget::account(maps_.at(address).forget());
    }
    free(address, bytes);
}

void FileMappings::unwatch_region(void* address) noexcept {
    if (maps_.remove(address)) sys::MappingBudget::account(-1);
}

void FileMappings::forget_window(const void* address) noexcept {
    const std::scoped_lock lock{maps_.lock()};
    sys::MappingBudget::account(maps_.at(address).forget());
}

int FileMappings::map_part(void* address, std::size_t bytes) noexcept {
    const sys::SignalBlock signals;
    const std::uint64_t offset = core::address_of(address);
    if (const int error = frames_.map(address, bytes, offset, PROT_NONE)) return error;
    const FileMapping mapping = mapping_at(address, bytes, offset);
    const std::scoped_lock lock{maps_.lock()};
    mapping.map.set_mapped(mapping.run, true);
    sys::MappingBudget::account(1);
    return 0;
}

void FileMappings::forget_part(void* address, std::size_t bytes) noexcept {
    const sys::SignalBlock signals;
    const FileMapping mapping = mapping_at(address, bytes, core::address_of(address));
    const std::scoped_lock lock{maps_.lock()};
    mapping.map.set_guarded(mapping.run, false);
    sys::MappingBudget::account(mapping.map.set_access(mapping.run, UnitAccess::closed) - 1);
    mapping.map.set_mapped(mapping.run, false);
}

int FileMappings::map_view(void* address, std::size_t bytes, const void* source) noexcept {
    return map_frames(address, bytes, source, kMappingsOfView);
}

int FileMappings::unmap_view(void* address, std::size_t bytes) noexcept {
    return map_frames(address, bytes, address, -kMappingsOfView);
}

int FileMappings::map_frames(void* address, std::size_t bytes, const void* source,
                             std::int64_t more_mappings) noexcept {
    const sys::SignalBlock signals;
    const std::uint64_t offset = core::address_of(source);
    if (const int error = frames_.map(address, bytes, offset, PROT_NONE)) return error;
    note_new_mapping(mapping_at(address, bytes, offset), UnitAccess::closed);
    sys::MappingBudget::account(more_mappings);
    return 0;
}

// ---- Open and close

FileMapping FileMappings::mapping_at(const void* address, std::size_t bytes,
                                     std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{maps_.lock()};
    UnitMap& map = maps_.at(address);
    return {map, map.run_of(address, bytes), offset};
}

int FileMappings::set(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    return access == UnitAccess::closed ? close(mapping) : open(mapping, access);
}

int FileMappings::change(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    if (access == UnitAccess::closed) return close(mapping);
    return change_protection(mapping, access);
}

int FileMappings::set_again(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    if (access == UnitAccess::closed) return close(mapping);
    if (const int error = open(mapping, access)) return error;
    if (const int error = set_protection(mapping.address(), mapping.bytes(), protection_of(access))) return error;
    return guards_ ? advise(mapping.address(), mapping.bytes(), sys::abi::kAdviseGuardRemove) : 0;
}

int FileMappings::open(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    if (guards_) {
        if (const int error = prepare_guards(mapping)) return error;
    }
    if (const int error = change_protection(mapping, access)) return error;
    if (!guards_) return 0;
    {
        const std::scoped_lock lock{maps_.lock()};
        mapping.map.set_guarded(mapping.run, false);
    }
    return advise(mapping.address(), mapping.bytes(), sys::abi::kAdviseGuardRemove);
}

int FileMappings::close(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE {
    UnitMap& map = mapping.map;
    bool poisoned = false;
    bool read_only = false;
    {
        const std::scoped_lock lock{maps_.lock()};
        poisoned = map.any(mapping.run, UnitAccess::poisoned);
        read_only = map.any(mapping.run, UnitAccess::read) || map.any(mapping.run, UnitAccess::execute);
        if (!poisoned && !read_only && map.all_guarded(mapping.run)) return 0;
    }
    if (poisoned) return remove_poison(mapping);
    if (!guards_) return change_protection(mapping, UnitAccess::closed);
    if (const int error = install_guards(map, mapping.run)) return error;
    {
        const std::scoped_lock lock{maps_.lock()};
        map.set_guarded(mapping.run, true);
    }
    // With the original protection the closed page may merge with its neighbours' mapping again. A failure costs only
    // mappings: the page is closed anyway.
    if (read_only) static_cast<void>(change_protection(mapping, UnitAccess::write));
    return 0;
}

int FileMappings::change_protection(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    {
        const std::scoped_lock lock{maps_.lock()};
        if (mapping.map.all(mapping.run, access)) return 0;
    }
    if (const int error = set_protection(mapping.address(), mapping.bytes(), protection_of(access))) return error;
    const std::scoped_lock lock{maps_.lock()};
    sys::MappingBudget::account(mapping.map.set_access(mapping.run, access));
    return 0;
}

/// Makes the mapping around closed units writable and puts guard markers on all of them. Removing a marker from a
/// mapping without access would not open the page. Works on a whole stretch at once: that needs few mappings, and later
/// faults in the stretch find it prepared.
int FileMappings::prepare_guards(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE {
    UnitMap& map = mapping.map;
    {
        const std::scoped_lock lock{maps_.lock()};
        if (!map.any(mapping.run, UnitAccess::closed)) return 0;
    }
    const std::scoped_lock opening{opening_};
    const std::size_t first = core::align_down(mapping.run.first, kGuardStretch);
    const std::size_t end = std::min(core::align_up(mapping.run.end(), kGuardStretch), map.units());
    for (;;) {
        core::UnitRange closed;
        {
            const std::scoped_lock lock{maps_.lock()};
            closed = map.next_closed({first, end - first});
            if (closed.count > 0 && sys::MappingBudget::is_short()) closed = map.widened_to_neighbour(closed);
        }
        if (closed.count == 0) return 0;
        int error = install_guards(map, closed);
        if (error == 0) {
            error = set_protection(map.address_of(closed.first), bytes_of(closed), protection_of(UnitAccess::write));
        }
        if (error != 0) return error;
        const std::scoped_lock lock{maps_.lock()};
        sys::MappingBudget::account(map.set_access(closed, UnitAccess::write));
        map.set_guarded(closed, true);
    }
}

// ---- Poison

/// Maps an empty file over the pages. The kernel raises SIGBUS for each access beyond the end of a file.
int FileMappings::poison(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE {
    const int protection = protection_of(UnitAccess::poisoned);
    if (const int error = nothing_.map(mapping.address(), mapping.bytes(), 0, protection)) return error;
    note_new_mapping(mapping, UnitAccess::poisoned);
    return 0;
}

int FileMappings::remove_poison(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE {
    if (const int error = frames_.map(mapping.address(), mapping.bytes(), mapping.offset, PROT_NONE)) return error;
    note_new_mapping(mapping, UnitAccess::closed);
    return 0;
}

/// Records the state of a new mapping, which has no guard markers.
void FileMappings::note_new_mapping(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{maps_.lock()};
    mapping.map.set_guarded(mapping.run, false);
    sys::MappingBudget::account(mapping.map.set_access(mapping.run, access));
}

std::size_t FileMappings::fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{maps_.lock()};
    return maps_.find_islands(runs, guards_ ? UnitAccess::write : UnitAccess::closed);
}

}  // namespace faultline::mmu
