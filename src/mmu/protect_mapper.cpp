#include "mmu/protect_mapper.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/transient.hpp"

#include <cerrno>

namespace faultline::mmu {
namespace {

constexpr UnitAccess access_of(Protection protection) noexcept {
    if (protection == Protection::executable) return UnitAccess::execute;
    return protection == Protection::writable ? UnitAccess::write : UnitAccess::read;
}

constexpr UnitAccess access_of(bool dirty) noexcept { return dirty ? UnitAccess::write : UnitAccess::read; }

/// Returns what a mapping allows of a page that may be mapped as `wanted`, if the program has `access` to it.
constexpr UnitAccess allowed_by(Access access, UnitAccess wanted) noexcept {
    if (access == Access::read_write) return wanted;
    if (access == Access::none) return UnitAccess::closed;
    return access == Access::read_execute ? UnitAccess::execute : UnitAccess::read;
}

}  // namespace

/// Calls `act(mapping, access)` for each mapping of a page, with the access that its view allows. An error does not
/// stop the loop. Returns the first error.
template <typename Act>
int ProtectMapper::for_each_mapping(void* page, std::size_t bytes, Act act) const FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t source = core::address_of(page);
    if (views_ == nullptr) return act(file_.mapping_at(page, bytes, source), Access::read_write);
    int first_error = 0;
    views_->for_each_of(source, bytes, [&](const SharedView& view) {
        const void* const address = core::pointer_to(view.range.begin);
        const int error = act(file_.mapping_at(address, view.range.bytes(), view.source), view.access);
        if (first_error == 0) first_error = error;
    });
    return first_error;
}

int ProtectMapper::install(void* page, const void* from, std::size_t bytes,
                           Protection protection) FAULTLINE_SIGNAL_SAFE {
    int error = file_.write(page, from, bytes);
    bool mapped = false;  // in at least one view; then the page is resident, and a fault in another view maps it there
    if (error == 0) {
        error = for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access access) {
            const int refused = file_.set(mapping, allowed_by(access, access_of(protection)));
            mapped |= refused == 0;
            return refused;
        });
    }
    if (error == 0 || mapped) return 0;
    file_.free(page, bytes);
    return error;
}

int ProtectMapper::make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access access) {
        return file_.change(mapping, allowed_by(access, UnitAccess::write));
    });
}

int ProtectMapper::write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access access) {
        return file_.change(mapping, allowed_by(access, UnitAccess::read));
    });
}

int ProtectMapper::restore(void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    const UnitAccess wanted = allowed_by(access, access_of(dirty));
    return for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access view_access) {
        return file_.set_again(mapping, allowed_by(view_access, wanted));
    });
}

Staged ProtectMapper::stage(void* page, void*, std::size_t page_bytes, std::size_t pages,
                            Protection) FAULTLINE_SIGNAL_SAFE {
    const int error = close(page, page_bytes * pages);
    return {error == 0 ? pages : 0, error};
}

int ProtectMapper::unstage(void*, void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    const UnitAccess wanted = allowed_by(access, access_of(dirty));
    const int error = for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access view_access) {
        return file_.set(mapping, allowed_by(view_access, wanted));
    });
    if (error != 0) close_for_certain(page, bytes);  // a part of it, or one view, may be open
    return error;
}

const std::byte* ProtectMapper::staged_bytes(const void* page, void* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const int error = file_.read(page, slot, bytes);
    FAULTLINE_REQUIRE(error != EBADF,
                      "a page's memory cannot be read: has the program closed faultline's descriptors?");
    return error == 0 ? static_cast<const std::byte*>(slot) : nullptr;
}

void ProtectMapper::drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    for (const iovec& range : ranges) {
        close_for_certain(range.iov_base, range.iov_len);
        file_.free(range.iov_base, range.iov_len);
    }
}

int ProtectMapper::close(void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    return for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access) { return file_.close(mapping); });
}

void ProtectMapper::close_for_certain(void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    const int error = sys::wait_out("unmapping a page", [&] { return close(page, bytes); });
    FAULTLINE_REQUIRE_MAPPED(error, "cannot remove access to a page");
}

int ProtectMapper::poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return for_each_mapping(page, bytes, [&](const FileMapping& mapping, Access) { return file_.poison(mapping); });
}

}  // namespace faultline::mmu
