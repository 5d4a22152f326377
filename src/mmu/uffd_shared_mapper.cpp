#include "mmu/uffd_shared_mapper.hpp"

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

}  // namespace

// ---- Set-up

bool UffdSharedMapper::prepare() {
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
bool UffdSharedMapper::works() {
    const sys::Mapping trial = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    std::byte* const page = trial.data();
    constexpr std::byte kSomething{1};
    std::size_t mapped = 0;
    const bool works = map_view(page, trial.size(), page) == 0 &&
                       frames_->write(&kSomething, 1, core::address_of(page)) == 0 &&
                       uffd_.map_file_pages(page, trial.size(), true, &mapped) == 0 &&
                       uffd_.map_file_pages(page, trial.size(), true, &mapped) == EEXIST;
    frames_->free(core::address_of(page), trial.size());
    return works;
}

void UffdSharedMapper::start_in_child() {
    if (frames_) frames_ = sys::MemoryFile::of_addresses(kSharedFramesName);
}

void UffdSharedMapper::watch_region(void* address, std::size_t bytes) {
    if (const int error = frames_->map(address, bytes, core::address_of(address), PROT_READ)) {
        throw std::system_error(error, std::generic_category(), "cannot map the memory file of a shared region");
    }
}

void UffdSharedMapper::empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    frames_->free(core::address_of(address), bytes);
}

int UffdSharedMapper::map_view(void* address, std::size_t bytes, const void* source) noexcept {
    if (const int error = frames_->map(address, bytes, core::address_of(source), PROT_NONE)) return error;
    try {
        uffd_.watch_file(address, bytes);
        return 0;
    } catch (const std::system_error& error) {
        const int undone = works_ ? unmap_view(address, bytes) : 0;  // a trial mapping is unmapped by its owner
        FAULTLINE_REQUIRE(undone == 0, "cannot restore an address range after a failed mapping of a shared file");
        return error.code().value();
    }
}

int UffdSharedMapper::unmap_view(void* address, std::size_t bytes) noexcept {
    if (const int error = sys::map_inaccessible(address, bytes)) return error;
    try {
        uffd_.watch(address, bytes, true);
    } catch (const std::system_error&) {
        FAULTLINE_REQUIRE(false, "cannot register memory with userfaultfd again: the kernel is out of memory");
    }
    return 0;
}

// ---- Pages

/// Calls `act(address, bytes)` for all views of a page. An error does not stop the loop. Returns the first error.
template <typename Act>
int UffdSharedMapper::for_each_view(const void* page, std::size_t bytes, Act act) const FAULTLINE_SIGNAL_SAFE {
    int first_error = 0;
    views_.for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        const int error = act(core::pointer_to(view.range.begin), view.range.bytes());
        if (first_error == 0) first_error = error;
    });
    return first_error;
}

int UffdSharedMapper::install(void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE {
    if (const int error = frames_->write(from, bytes, core::address_of(page))) return error;
    // If the rest is refused, units that the program may have written to cannot be removed again. So a page of several
    // units stays write-protected until all of it is mapped. Once one view maps the page, it is resident; a fault in
    // another view maps it there.
    const bool in_steps = protection == Protection::writable && bytes > core::kUnitBytes;
    bool mapped = false;
    bool any = false;
    const int error = for_each_view(page, bytes, [&](std::byte* address, std::size_t part) {
        any = true;
        const int refused = map_in_view(address, part, protection == Protection::writable && !in_steps);
        mapped |= refused == 0;
        return refused;
    });
    if (any && !mapped) {
        unmap(page, bytes);
        free(page, bytes);
        return error;
    }
    if (!in_steps) return 0;
    const int refused = sys::wait_out("UFFDIO_WRITEPROTECT", [&] { return make_writable(page, bytes); });
    FAULTLINE_REQUIRE(refused == 0, "a page cannot be made writable: has the program unmapped managed memory?");
    return 0;
}

/// The kernel checks the access of each view: a dirty page is writable in all of them.
int UffdSharedMapper::restore(void* page, std::size_t bytes, Access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    return for_each_view(page, bytes,
                         [&](std::byte* address, std::size_t part) { return map_in_view(address, part, dirty); });
}

/// Maps a page in one view. Also sets the protection of parts that are mapped already.
int UffdSharedMapper::map_in_view(std::byte* address, std::size_t bytes, bool writable) FAULTLINE_SIGNAL_SAFE {
    while (bytes > 0) {
        std::size_t mapped = 0;
        const int error = uffd_.map_file_pages(address, bytes, !writable, &mapped);
        if (error == 0) return 0;
        if (error != EEXIST) return error;
        address += mapped;
        bytes -= mapped;
        if (const int refused = uffd_.write_protect(address, core::kUnitBytes, !writable)) return refused;
        uffd_.wake(address, core::kUnitBytes);
        address += core::kUnitBytes;
        bytes -= core::kUnitBytes;
    }
    return 0;
}

int UffdSharedMapper::make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return set_write_protection(page, bytes, false);
}

int UffdSharedMapper::write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return set_write_protection(page, bytes, true);
}

/// Where a view does not map the page, this changes nothing: a fault maps it with the right protection.
int UffdSharedMapper::set_write_protection(const void* page, std::size_t bytes, bool on) FAULTLINE_SIGNAL_SAFE {
    return for_each_view(page, bytes,
                         [&](std::byte* address, std::size_t part) { return uffd_.write_protect(address, part, on); });
}

Staged UffdSharedMapper::stage(void* page, void*, std::size_t page_bytes, std::size_t pages,
                               Protection) FAULTLINE_SIGNAL_SAFE {
    unmap(page, page_bytes * pages);
    return {pages, 0};
}

int UffdSharedMapper::unstage(void*, void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    const int error = restore(page, bytes, access, dirty);
    if (error != 0) unmap(page, bytes);
    return error;
}

void UffdSharedMapper::drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    for (const iovec& range : ranges) {
        unmap(range.iov_base, range.iov_len);
        free(range.iov_base, range.iov_len);
    }
}

void UffdSharedMapper::unmap(const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    views_.for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        sys::drop_pages(core::pointer_to(view.range.begin), view.range.bytes());
    });
}

void UffdSharedMapper::free(const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    frames_->free(core::address_of(page), bytes);
}

/// A page that was write-protected when it was unmapped has left a marker, which would make UFFDIO_POISON fail: clear
/// it first.
int UffdSharedMapper::poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_view(page, bytes, [&](std::byte* address, std::size_t part) {
        const int error = uffd_.write_protect(address, part, false);
        return error != 0 ? error : uffd_.poison(address, part);
    });
}

void UffdSharedMapper::wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    views_.for_each_of(core::address_of(page), bytes, [&](const SharedView& view) {
        uffd_.wake(core::pointer_to(view.range.begin), view.range.bytes());
    });
}

}  // namespace faultline::mmu
