// UffdMapper: the mapper of private regions under userfaultfd. It moves frames to the staging area with UFFDIO_MOVE.
// Where the kernel has no UFFDIO_MOVE, refuses it, or the page's protection does not allow it, it write-protects,
// copies and drops the page.
#pragma once

#include "mmu/mapper.hpp"
#include "mmu/page_dropper.hpp"
#include "sys/futex_lock.hpp"
#include "sys/page_merging.hpp"
#include "sys/userfaultfd.hpp"

namespace faultline::mmu {

class UffdMapper final : public Mapper {
public:
    /// `uffd` and `dropper` must outlive the mapper. `moves`: UFFDIO_MOVE works.
    UffdMapper(sys::Userfaultfd& uffd, const PageDropper& dropper, bool moves) noexcept
        : uffd_{uffd}, dropper_{dropper}, moves_{moves} {}

    void watch_region(void* address, std::size_t bytes) override;
    /// KSM may have removed protection that the child would have to set again.
    [[nodiscard]] bool children_can_keep_pages() const noexcept override { return !protection_in_doubt(); }
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int map_part(void* address, std::size_t bytes) noexcept override;

    [[nodiscard]] int install(void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int restore(void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool loses_dropped_bytes() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] const std::byte* mapped_bytes(const void* page, void*, std::size_t) FAULTLINE_SIGNAL_SAFE override {
        return static_cast<const std::byte*>(page);
    }
    [[nodiscard]] bool protection_in_doubt() const FAULTLINE_SIGNAL_SAFE override {
        return sys::PageMerging::may_happen();
    }

    [[nodiscard]] Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                               Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool stages_in_place() const FAULTLINE_SIGNAL_SAFE override { return false; }
    [[nodiscard]] bool should_unstage(bool writable, bool in_use) const FAULTLINE_SIGNAL_SAFE override {
        return moves_ && writable && !in_use;
    }
    [[nodiscard]] int unstage(void* slot, void* page, std::size_t bytes, Access access,
                              bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* staged_bytes(const void*, void* slot, std::size_t) FAULTLINE_SIGNAL_SAFE override {
        return static_cast<const std::byte*>(slot);
    }
    void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE override { dropper_.drop(ranges); }

    [[nodiscard]] bool can_move() const noexcept override { return true; }
    [[nodiscard]] Staged move(void* from, void* to, std::size_t page_bytes,
                              std::size_t pages) FAULTLINE_SIGNAL_SAFE override {
        return stage(from, to, page_bytes, pages, Protection::writable);
    }

    [[nodiscard]] int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] int set_access(void* address, std::size_t bytes, Access access) noexcept override;
    [[nodiscard]] bool maps_access_by_page() const FAULTLINE_SIGNAL_SAFE override { return false; }
    [[nodiscard]] int set_guard(void* address, std::size_t bytes) noexcept override;
    [[nodiscard]] int split(void* address, std::size_t bytes) noexcept override;
    void merge(void* address, std::size_t bytes) noexcept override;
    [[nodiscard]] bool refusal_is_final() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] std::optional<core::FaultOutcome> answer_forbidden(core::FaultAccess access, Access allowed) const
        FAULTLINE_SIGNAL_SAFE override;

private:
    [[nodiscard]] int fill_holes(std::byte* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Staged stage_one_by_one(std::byte* page, std::byte* slot, std::size_t page_bytes, std::size_t pages,
                                          Protection protection) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int stage_by_move(std::byte* page, std::byte* slot, std::size_t bytes,
                                    std::size_t already) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int put_back(std::byte* page, std::byte* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int stage_by_copy(std::byte* page, std::byte* slot, std::size_t bytes,
                                    Protection protection) FAULTLINE_SIGNAL_SAFE;

    sys::Userfaultfd& uffd_;
    const PageDropper& dropper_;
    const bool moves_;
    // Serialises copies, so that at most one page exists twice. The frame budget reserves frames for that one page.
    sys::FutexLock copy_turn_;
};

/// Returns the outcome of a forbidden access where the kernel checks access by itself: see Mapper::answer_forbidden.
[[nodiscard]] std::optional<core::FaultOutcome> leave_to_kernel(core::FaultAccess access,
                                                                Access allowed) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::mmu
