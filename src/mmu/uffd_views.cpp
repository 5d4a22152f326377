#include "mmu/uffd_views.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace faultline::mmu {
namespace {

constexpr const char* kSharedFramesName = "faultline shared frames";

/// Calls `act(address, bytes)` for all views of a page. An error does not stop the loop. Returns the first error.
template <typename Act>
int for_each_view(const SharedViews& views, const void* page, std::size_t bytes, Act act) FAULTLINE_SIGNAL_SAFE {
    int first_error = 0;
    views.for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        const int error = act(core::pointer_to(view.range.begin), view.range.bytes());
        if (first_error == 0) first_error = error;
    });
    return first_error;
}

}  // namespace

bool UffdViews::prepare() {
    if (works_) return *works_;
    if (!uffd_.has(sys::abi::kFeatureMinorShmem) || !uffd_.has(sys::abi::kFeatureProtectShmem)) {
        works_ = false;
        return false;
    }
    try {
        frames_ = sys::MemoryFile::of_addresses(kSharedFramesName);
    } catch (const std::system_error& error) {
        if (error.code().value() != EFBIG) throw;
        works_ = false;  // under a file size limit
        return false;
    }
    works_ = works();
    if (!*works_) frames_.reset();
    return *works_;
}

/// Tests on one page whether a page can be mapped write-protected (Linux 6.4). Feature bits do not tell.
bool UffdViews::works() {
    const sys::Mapping trial = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    std::byte* const page = trial.data();
    constexpr std::byte kSomething{1};
    std::size_t shown = 0;
    const bool works = map(page, trial.size(), page) == 0 &&
                       frames_->write(&kSomething, 1, core::address_of(page)) == 0 &&
                       uffd_.map_file_pages(page, trial.size(), true, &shown) == 0 &&
                       uffd_.map_file_pages(page, trial.size(), true, &shown) == EEXIST;
    frames_->free(core::address_of(page), trial.size());
    return works;
}

void UffdViews::start_in_child() {
    if (frames_) frames_ = sys::MemoryFile::of_addresses(kSharedFramesName);
}

void UffdViews::watch(void* address, std::size_t bytes) {
    if (const int error = frames_->map(address, bytes, core::address_of(address), PROT_READ)) {
        throw std::system_error(error, std::generic_category(), "cannot map the memory file of a shared region");
    }
}

void UffdViews::empty(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    frames_->free(core::address_of(address), bytes);
}

int UffdViews::map(void* address, std::size_t bytes, const void* source) noexcept {
    if (const int error = frames_->map(address, bytes, core::address_of(source), PROT_NONE)) return error;
    try {
        uffd_.watch_file(address, bytes);
        return 0;
    } catch (const std::system_error& error) {
        const int undone = works_ ? unmap(address, bytes) : 0;  // a trial mapping is unmapped by its owner
        FAULTLINE_REQUIRE(undone == 0, "cannot restore an address range after a failed mapping of a shared file");
        return error.code().value();
    }
}

int UffdViews::unmap(void* address, std::size_t bytes) noexcept {
    if (const int error = sys::map_inaccessible(address, bytes)) return error;
    try {
        uffd_.watch(address, bytes, true);
    } catch (const std::system_error&) {
        FAULTLINE_REQUIRE(false, "cannot register memory with userfaultfd again: the kernel is out of memory");
    }
    return 0;
}

int UffdViews::install(const SharedViews& views, void* page, const void* from, std::size_t bytes,
                       Protection protection) FAULTLINE_SIGNAL_SAFE {
    if (const int error = frames_->write(from, bytes, core::address_of(page))) return error;
    // If the rest is refused, units that the program may have written to cannot be removed again. So a page of several
    // units stays write-protected until all of it is mapped. Once one view shows the page, it is resident; a fault in
    // another view shows it there.
    const bool in_steps = protection == Protection::writable && bytes > core::kUnitBytes;
    bool shown = false;
    bool any = false;
    int first_error = 0;
    static_cast<void>(for_each_view(views, page, bytes, [&](std::byte* address, std::size_t part) {
        any = true;
        const int error = show_at(address, part, protection == Protection::writable && !in_steps);
        shown |= error == 0;
        if (error != 0 && first_error == 0) first_error = error;
        return error;
    }));
    if (any && !shown) {
        drop(views, page, bytes);
        return first_error;
    }
    if (!in_steps) return 0;
    const int refused = sys::wait_out("UFFDIO_WRITEPROTECT", [&] { return protect(views, page, bytes, false); });
    FAULTLINE_REQUIRE(refused == 0, "a page cannot be made writable: has the program unmapped managed memory?");
    return 0;
}

int UffdViews::show(const SharedViews& views, const void* page, std::size_t bytes,
                    Protection protection) FAULTLINE_SIGNAL_SAFE {
    return for_each_view(views, page, bytes, [&](std::byte* address, std::size_t part) {
        return show_at(address, part, protection == Protection::writable);
    });
}

/// Maps a page in one view. Also sets the protection of parts that are mapped already.
int UffdViews::show_at(std::byte* address, std::size_t bytes, bool writable) FAULTLINE_SIGNAL_SAFE {
    while (bytes > 0) {
        std::size_t shown = 0;
        const int error = uffd_.map_file_pages(address, bytes, !writable, &shown);
        if (error == 0) return 0;
        if (error != EEXIST) return error;
        address += shown;
        bytes -= shown;
        if (const int refused = uffd_.write_protect(address, core::kUnitBytes, !writable)) return refused;
        uffd_.wake(address, core::kUnitBytes);
        address += core::kUnitBytes;
        bytes -= core::kUnitBytes;
    }
    return 0;
}

/// Where a view does not show the page, this changes nothing: a fault maps it with the right protection.
int UffdViews::protect(const SharedViews& views, const void* page, std::size_t bytes, bool on) FAULTLINE_SIGNAL_SAFE {
    return for_each_view(views, page, bytes,
                         [&](std::byte* address, std::size_t part) { return uffd_.write_protect(address, part, on); });
}

void UffdViews::hide(const SharedViews& views, const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    views.for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        sys::drop_pages(core::pointer_to(view.range.begin), view.range.bytes());
    });
}

void UffdViews::drop(const SharedViews& views, void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    hide(views, page, bytes);
    frames_->free(core::address_of(page), bytes);
}

/// A page that was write-protected when it was hidden has left a marker, which would make UFFDIO_POISON fail: clear it
/// first.
int UffdViews::poison(const SharedViews& views, const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_view(views, page, bytes, [&](std::byte* address, std::size_t part) {
        const int error = uffd_.write_protect(address, part, false);
        return error != 0 ? error : uffd_.poison(address, part);
    });
}

void UffdViews::wake(const SharedViews& views, const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    views.for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        uffd_.wake(core::pointer_to(view.range.begin), view.range.bytes());
    });
}

}  // namespace faultline::mmu
