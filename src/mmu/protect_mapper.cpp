// More than 400 lines in one file: it implements one interface, and all of it keeps ViewMap in step with the kernel's
// mappings under one lock order.
#include "mmu/protect_mapper.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping_budget.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>

namespace faultline::mmu {
namespace {

// Units that are opened for guard markers at once: what one page table page of the kernel covers.
constexpr std::size_t kGuardStretch = 512;

constexpr std::int64_t kMappingsOfView = 2;  // at most; a view splits the mapping that it replaces

constexpr const char* kFramesName = "faultline frames";
constexpr const char* kPoisonName = "faultline poison";

constexpr int protection_of(View view) noexcept {
    switch (view) {
        case View::read:
            return PROT_READ;
        case View::execute:
            return PROT_READ | PROT_EXEC;
        case View::write:
        case View::poisoned:
            return PROT_READ | PROT_WRITE;
        case View::closed:
            break;
    }
    return PROT_NONE;
}

constexpr View view_of(Protection protection) noexcept {
    if (protection == Protection::executable) return View::execute;
    return protection == Protection::writable ? View::write : View::read;
}

/// Returns the protection of a shared page in a view with `access`, if writes and accesses to the page allow `view`.
constexpr View allowed_by(Access access, View view) noexcept {
    if (access == Access::read_write) return view;
    if (access == Access::none) return View::closed;
    return access == Access::read_execute ? View::execute : View::read;
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
    // ENOMEM is returned: it may mean too many mappings, and the caller can hide pages that need many.
    sys::TransientWait wait{"mprotect"};
    for (;;) {
        const int error =
            sys::error_of(sys::raw_syscall(SYS_mprotect, sys::syscall_argument(address), bytes, protection));
        if (error == ENOMEM || !wait.again(error)) return explained(error, address, bytes);
    }
}

std::size_t bytes_of(core::UnitRange run) noexcept { return run.count * core::kUnitBytes; }

}  // namespace

ProtectMapper::ProtectMapper(Eviction wanted, const ViewRegistry* views)
    : Mapper{views},
      frames_{sys::MemoryFile::of_addresses(kFramesName)},
      nothing_{sys::MemoryFile::empty(kPoisonName)} {
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

ProtectMapper::~ProtectMapper() = default;

/// Tests guard markers with a system call on the page, which fails where an access would fault.
bool ProtectMapper::guards_work() {
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

void ProtectMapper::watch_region(void* address, std::size_t bytes) {
    auto* const begin = static_cast<std::byte*>(address);
    auto fresh = std::make_unique<Watched>(begin, bytes);
    if (const int error = frames_.map(begin, bytes, core::address_of(begin), PROT_NONE)) {
        sys::throw_mapping_error(error, "cannot map the memory file of a region of " + sys::readable_bytes(bytes));
    }
    // Only the control path changes the list, one call at a time; faults read it. Memory is allocated before the lock
    // is taken.
    Regions larger;
    if (regions_.size() == regions_.capacity()) larger.reserve(2 * regions_.size() + 8);
    const sys::SignalBlock signals;
    {
        const std::scoped_lock lock{lock_};
        if (larger.capacity() > 0) {
            std::move(regions_.begin(), regions_.end(), std::back_inserter(larger));
            regions_.swap(larger);
        }
        const auto behind =
            std::upper_bound(regions_.begin(), regions_.end(), begin,
                             [](const std::byte* wanted, const auto& region) { return wanted < region->begin; });
        regions_.insert(behind, std::move(fresh));
    }
    sys::MappingBudget::account(1);
}

void ProtectMapper::start_in_child() {
    frames_ = sys::MemoryFile::of_addresses(kFramesName);
    nothing_ = sys::MemoryFile::empty(kPoisonName);
}

void ProtectMapper::watch_again(void* address, std::size_t bytes) {
    if (const int error = frames_.map(address, bytes, core::address_of(address), PROT_NONE)) {
        sys::throw_error(error, "cannot map the memory file of a region in a child of fork");
    }
    const std::scoped_lock lock{lock_};
    sys::MappingBudget::account(region_at(address).map.forget());
}

void ProtectMapper::empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    // One new mapping replaces all old ones of the region.
    const int error = frames_.map(address, bytes, core::address_of(address), PROT_NONE);
    FAULTLINE_REQUIRE(error == 0, "cannot unmap all pages of a region: has the program unmapped managed memory?");
    {
        const std::scoped_lock lock{lock_};
        sys::MappingBudget::account(region_at(address).map.forget());
    }
    frames_.free(core::address_of(address), bytes);
}

void ProtectMapper::unwatch_region(void* address) noexcept {
    std::unique_ptr<Watched> gone;
    const sys::SignalBlock signals;
    {
        const std::scoped_lock lock{lock_};
        const auto at = std::find_if(regions_.begin(), regions_.end(),
                                     [&](const auto& region) { return region->begin == address; });
        if (at == regions_.end()) return;
        gone = std::move(*at);
        regions_.erase(at);
    }
    sys::MappingBudget::account(-1);
}

/// Returns the region of an address. Call with `lock_` held. The region exists while the caller owns a page of it.
ProtectMapper::Watched& ProtectMapper::region_at(const void* address) const FAULTLINE_SIGNAL_SAFE {
    const auto after = std::upper_bound(regions_.begin(), regions_.end(), address,
                                        [](const void* wanted, const auto& region) { return wanted < region->begin; });
    FAULTLINE_REQUIRE(after != regions_.begin(), "a page is outside all regions of its mapper");
    return **std::prev(after);
}

ProtectMapper::Place ProtectMapper::place_of(const void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    Watched& region = region_at(address);
    return {region, region.map.run_of(address, bytes)};
}

// ---- Showing and hiding

int ProtectMapper::show(Place place, View view) FAULTLINE_SIGNAL_SAFE {
    if (guards_) {
        if (const int error = prepare_guards(place)) return error;
    }
    if (const int error = change_view(place, view)) return error;
    if (!guards_) return 0;
    {
        const std::scoped_lock lock{lock_};
        place.region.map.set_guarded(place.run, false);
    }
    return advise(place.address(), bytes_of(place.run), sys::abi::kAdviseGuardRemove);
}

int ProtectMapper::hide(Place place) FAULTLINE_SIGNAL_SAFE {
    ViewMap& map = place.region.map;
    bool poisoned = false;
    bool read_only = false;
    {
        const std::scoped_lock lock{lock_};
        poisoned = map.any(place.run, View::poisoned);
        read_only = map.any(place.run, View::read) || map.any(place.run, View::execute);
        if (!poisoned && !read_only && map.all_guarded(place.run)) return 0;
    }
    if (poisoned) return take_poison_away(place);
    if (!guards_) return change_view(place, View::closed);
    if (const int error = install_guards(place)) return error;
    {
        const std::scoped_lock lock{lock_};
        map.set_guarded(place.run, true);
    }
    // With the original protection the hidden page may merge with its neighbours' mapping again. A failure costs only
    // mappings: the page is hidden anyway.
    if (read_only) static_cast<void>(change_view(place, View::write));
    return 0;
}

/// Installs guard markers. The kernel puts none into locked memory. If the program has locked its own (mlock,
/// mlockall), this unlocks the whole region, because a part would split it into several mappings.
int ProtectMapper::install_guards(Place place) FAULTLINE_SIGNAL_SAFE {
    const int error = advise(place.address(), bytes_of(place.run), sys::abi::kAdviseGuardInstall);
    if (error != EINVAL) return error;
    const Watched& region = place.region;
    sys::raw_syscall(SYS_munlock, sys::syscall_argument(region.begin),
                     static_cast<std::size_t>(region.end - region.begin));
    return advise(place.address(), bytes_of(place.run), sys::abi::kAdviseGuardInstall);
}

/// Makes the mapping around closed units writable and puts guard markers on all of them. Removing a marker from a
/// mapping without access would not show the page. Works on a whole stretch at once: that needs few mappings, and later
/// faults in the stretch find it prepared.
int ProtectMapper::prepare_guards(Place place) FAULTLINE_SIGNAL_SAFE {
    ViewMap& map = place.region.map;
    {
        const std::scoped_lock lock{lock_};
        if (!map.any(place.run, View::closed)) return 0;
    }
    const std::scoped_lock opening{opening_};
    const std::size_t first = core::align_down(place.run.first, kGuardStretch);
    const std::size_t end = std::min(core::align_up(place.run.end(), kGuardStretch), map.units());
    for (;;) {
        core::UnitRange closed;
        {
            const std::scoped_lock lock{lock_};
            closed = map.next_closed({first, end - first});
            if (closed.count > 0 && sys::MappingBudget::is_short()) closed = map.widened_to_neighbour(closed);
        }
        if (closed.count == 0) return 0;
        const Place stretch{place.region, closed};
        int error = install_guards(stretch);
        if (error == 0) error = set_protection(stretch.address(), bytes_of(closed), protection_of(View::write));
        if (error != 0) return error;
        const std::scoped_lock lock{lock_};
        sys::MappingBudget::account(map.set_view(closed, View::write));
        map.set_guarded(closed, true);
    }
}

int ProtectMapper::change_view(Place place, View view) FAULTLINE_SIGNAL_SAFE {
    {
        const std::scoped_lock lock{lock_};
        if (place.region.map.all(place.run, view)) return 0;
    }
    if (const int error = set_protection(place.address(), bytes_of(place.run), protection_of(view))) return error;
    const std::scoped_lock lock{lock_};
    sys::MappingBudget::account(place.region.map.set_view(place.run, view));
    return 0;
}

int ProtectMapper::take_poison_away(Place place) FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t address = core::address_of(place.address());
    const SharedView* const view = views() == nullptr ? nullptr : views()->at(address);
    const std::uint64_t offset = view == nullptr ? address : view->source_of(address);
    if (const int error = frames_.map(place.address(), bytes_of(place.run), offset, PROT_NONE)) return error;
    note_view(place, View::closed);
    return 0;
}

// ---- Mapper

/// Calls `act(place, access)` for each mapping of a page: at its own address, or in all views of a shared page. An
/// error does not stop the loop. Returns the first error.
template <typename Act>
int ProtectMapper::for_each_place(void* page, std::size_t bytes, Act act) const FAULTLINE_SIGNAL_SAFE {
    const SharedViews* const views = views_of(page);
    if (views == nullptr) return act(place_of(page, bytes), Access::read_write);
    int first_error = 0;
    views->for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        const int error = act(place_of(core::pointer_to(view.range.begin), view.range.bytes()), view.access);
        if (first_error == 0) first_error = error;
    });
    return first_error;
}

/// Shows a page as `view`, limited by the view's access.
int ProtectMapper::show_in_view(Place place, View view, Access access) FAULTLINE_SIGNAL_SAFE {
    view = allowed_by(access, view);
    return view == View::closed ? hide(place) : show(place, view);
}

int ProtectMapper::change_in_view(Place place, View view, Access access) FAULTLINE_SIGNAL_SAFE {
    view = allowed_by(access, view);
    return view == View::closed ? hide(place) : change_view(place, view);
}

int ProtectMapper::install(void* page, const void* from, std::size_t bytes,
                           Protection protection) FAULTLINE_SIGNAL_SAFE {
    int error = frames_.write(from, bytes, core::address_of(page));
    bool shown = false;  // in at least one view; then the page is resident, and a fault in another view shows it there
    if (error == 0) {
        error = for_each_place(page, bytes, [&](Place place, Access access) {
            const int refused = show_in_view(place, view_of(protection), access);
            shown |= refused == 0;
            return refused;
        });
    }
    if (error == 0 || shown) return 0;
    frames_.free(core::address_of(page), bytes);
    return error;
}

int ProtectMapper::allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_place(page, bytes,
                          [&](Place place, Access access) { return change_in_view(place, View::write, access); });
}

/// Repeats all system calls, because the map does not know what the program changed.
int ProtectMapper::restore(void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    return for_each_place(page, bytes, [&](Place place, Access access) {
        const View view = allowed_by(access, view_of(protection));
        if (view == View::closed) return hide(place);
        if (const int error = show_again(place, view)) return error;
        return guards_ ? advise(place.address(), bytes_of(place.run), sys::abi::kAdviseGuardRemove) : 0;
    });
}

int ProtectMapper::show_again(Place place, View view) FAULTLINE_SIGNAL_SAFE {
    if (const int error = show(place, view)) return error;
    return set_protection(place.address(), bytes_of(place.run), protection_of(view));
}

int ProtectMapper::forbid_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_place(page, bytes,
                          [&](Place place, Access access) { return change_in_view(place, View::read, access); });
}

Staged ProtectMapper::stage(void* page, void*, std::size_t page_bytes, std::size_t pages,
                            Protection) FAULTLINE_SIGNAL_SAFE {
    const int error = for_each_place(page, page_bytes * pages, [&](Place place, Access) { return hide(place); });
    return {error == 0 ? pages : 0, error};
}

int ProtectMapper::unstage(void*, void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    return for_each_place(page, bytes,
                          [&](Place place, Access access) { return show_in_view(place, view_of(protection), access); });
}

const std::byte* ProtectMapper::staged_bytes(const void* page, void* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const int error = frames_.read(slot, bytes, core::address_of(page));
    FAULTLINE_REQUIRE(error != EBADF,
                      "a page's memory cannot be read: has the program closed faultline's descriptors?");
    return error == 0 ? static_cast<const std::byte*>(slot) : nullptr;
}

void ProtectMapper::release_staged_bytes(void* slots, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    // On failure the memory stays: the program has locked it (mlockall) and so has asked for the cost.
    static_cast<void>(advise(slots, bytes, MADV_DONTNEED));
}

void ProtectMapper::drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    for (const iovec& range : ranges) {
        sys::TransientWait wait{"hiding a page"};
        int error = 0;
        do {
            error = for_each_place(range.iov_base, range.iov_len, [&](Place place, Access) { return hide(place); });
        } while (wait.again(error));
        FAULTLINE_REQUIRE_MAPPED(error, "cannot remove access to a page");
        frames_.free(core::address_of(range.iov_base), range.iov_len);
    }
}

/// Maps an empty file over the page. The kernel raises SIGBUS for each access beyond the end of a file.
int ProtectMapper::poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_place(page, bytes, [&](Place place, Access) { return poison_at(place); });
}

int ProtectMapper::poison_at(Place place) FAULTLINE_SIGNAL_SAFE {
    if (const int error = nothing_.map(place.address(), bytes_of(place.run), 0, protection_of(View::poisoned))) {
        return error;
    }
    note_view(place, View::poisoned);
    return 0;
}

/// Records the state of a new mapping, which has no guard markers.
void ProtectMapper::note_view(Place place, View view) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    place.region.map.set_guarded(place.run, false);
    sys::MappingBudget::account(place.region.map.set_view(place.run, view));
}

// ---- Views

int ProtectMapper::map_view(void* address, std::size_t bytes, const void* source) noexcept {
    return map_frames(address, bytes, source, kMappingsOfView);
}

int ProtectMapper::unmap_view(void* address, std::size_t bytes) noexcept {
    return map_frames(address, bytes, address, -kMappingsOfView);
}

int ProtectMapper::map_frames(void* address, std::size_t bytes, const void* source,
                              std::int64_t more_mappings) noexcept {
    const sys::SignalBlock signals;
    if (const int error = frames_.map(address, bytes, core::address_of(source), PROT_NONE)) return error;
    note_view(place_of(address, bytes), View::closed);
    sys::MappingBudget::account(more_mappings);
    return 0;
}

bool ProtectMapper::short_of_mappings() const FAULTLINE_SIGNAL_SAFE { return sys::MappingBudget::is_short(); }
bool ProtectMapper::low_on_mappings() const FAULTLINE_SIGNAL_SAFE { return sys::MappingBudget::is_low(); }

/// Replaces an address in a view by the address in the shared region, and cuts the run at the end of the view.
void ProtectMapper::name_by_source(iovec& run) const FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t begin = core::address_of(run.iov_base);
    const SharedView* const view = views() == nullptr ? nullptr : views()->from(begin);
    if (view == nullptr || view->range.begin >= begin + run.iov_len) return;
    if (begin < view->range.begin) {
        run.iov_len = view->range.begin - begin;
    } else {
        run = {core::pointer_to(view->source_of(begin)), std::min(run.iov_len, view->range.end - begin)};
    }
}

std::size_t ProtectMapper::fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE {
    const View hidden_as = guards_ ? View::write : View::closed;
    constexpr std::size_t kLongest = std::size_t{1} << 20;  // units
    const std::scoped_lock lock{lock_};
    for (; island_units_ <= kLongest; island_units_ *= 2) {
        for (std::size_t i = 0; i < regions_.size(); ++i) {
            if (island_region_ >= regions_.size()) island_region_ = 0;
            const std::size_t found = regions_[island_region_]->map.find_islands(runs, island_units_, hidden_as);
            if (found > 0) {
                for (iovec& run : runs.first(found)) name_by_source(run);
                if (island_units_ > 1) island_units_ /= 2;  // shorter runs may have appeared meanwhile
                return found;
            }
            ++island_region_;
        }
    }
    island_units_ = 1;
    return 0;
}

}  // namespace faultline::mmu
