// UffdSharedMapper: the mapper of shared regions under userfaultfd. A memory file holds the frames. The region maps the
// file read-only and unwatched; the pager reads the bytes there. Each view maps the file, too. It is watched for every
// page not mapped in the view, whether the file holds the page or not. UFFDIO_CONTINUE maps a page in a view. Dropping
// a page from the view unmaps it there and leaves it in the file, so staged pages and pages that the program drops keep
// their frames.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "mmu/uffd_mapper.hpp"
#include "mmu/view_registry.hpp"
#include "sys/memory_file.hpp"
#include "sys/userfaultfd.hpp"

#include <cstddef>
#include <optional>

namespace faultline::mmu {

class UffdSharedMapper final : public Mapper {
public:
    /// `uffd` and `views` must outlive the mapper.
    UffdSharedMapper(sys::Userfaultfd& uffd, const ViewRegistry& views) noexcept : uffd_{uffd}, views_{views} {}

    /// See Mappers::prepare_views, start_in_child, map_view and unmap_view.
    [[nodiscard]] bool prepare();
    void start_in_child();
    [[nodiscard]] int map_view(void* address, std::size_t bytes, const void* source) noexcept;
    [[nodiscard]] int unmap_view(void* address, std::size_t bytes) noexcept;

    void watch_region(void* address, std::size_t bytes) override;
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] int install(void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Always false: the kernel does not tell this for a view.
    [[nodiscard]] bool is_mapped(const void*, std::size_t) const FAULTLINE_SIGNAL_SAFE override { return false; }
    [[nodiscard]] int restore(void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* mapped_bytes(const void* page, void*, std::size_t) FAULTLINE_SIGNAL_SAFE override {
        return static_cast<const std::byte*>(page);
    }

    [[nodiscard]] Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                               Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool stages_in_place() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] bool should_unstage(bool, bool) const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] int unstage(void* slot, void* page, std::size_t bytes, Access access,
                              bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* staged_bytes(const void* page, void*, std::size_t) FAULTLINE_SIGNAL_SAFE override {
        return static_cast<const std::byte*>(page);
    }
    void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] bool maps_access_by_page() const FAULTLINE_SIGNAL_SAFE override { return false; }
    [[nodiscard]] bool refusal_is_final() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] std::optional<core::FaultOutcome> answer_forbidden(core::FaultAccess access, Access allowed) const
        FAULTLINE_SIGNAL_SAFE override {
        return leave_to_kernel(access, allowed);
    }

private:
    [[nodiscard]] bool works();
    template <typename Act>
    [[nodiscard]] int for_each_view(const void* page, std::size_t bytes, Act act) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map_in_view(std::byte* address, std::size_t bytes, bool writable) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int set_write_protection(const void* page, std::size_t bytes, bool on) FAULTLINE_SIGNAL_SAFE;
    void unmap(const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    void free(const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    sys::Userfaultfd& uffd_;
    const ViewRegistry& views_;
    std::optional<sys::MemoryFile> frames_;  // the offset of a page is its address; created by prepare
    std::optional<bool> works_;
};

}  // namespace faultline::mmu
