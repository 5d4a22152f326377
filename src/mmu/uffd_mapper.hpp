// UffdMapper: a Mapper that uses userfaultfd. It evicts frames with UFFDIO_MOVE. Where the kernel has no UFFDIO_MOVE,
// refuses it, or the page's protection does not allow it, it write-protects, copies and drops the page. UffdViews does
// the work for shared regions.
#pragma once

#include "mmu/mapper.hpp"
#include "mmu/uffd_views.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/futex_lock.hpp"
#include "sys/page_merging.hpp"
#include "sys/userfaultfd.hpp"

#include <faultline/types.hpp>

#include <atomic>

namespace faultline::mmu {

class UffdMapper final : public Mapper {
public:
    /// `uffd` must outlive the mapper. Tests on a scratch page whether UFFDIO_MOVE works. Throws std::system_error:
    /// EOPNOTSUPP if `wanted` is `move` and it does not work.
    UffdMapper(sys::Userfaultfd& uffd, Eviction wanted, const ViewRegistry* views = nullptr);

    void watch_region(void* address, std::size_t bytes) override;
    void start_in_child() override;
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void watch_staging(void* address, std::size_t bytes) override;
    [[nodiscard]] bool is_staging(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE override {
        return address - staging_begin_ < staging_bytes_;
    }

    [[nodiscard]] int install(void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int restore(void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool protection_in_doubt() const FAULTLINE_SIGNAL_SAFE override {
        return sys::PageMerging::may_happen();
    }
    [[nodiscard]] int forbid_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int set_access(void* address, std::size_t bytes, Access access) noexcept override;
    [[nodiscard]] int part(void* address, std::size_t bytes) noexcept override;
    void rejoin(void* address, std::size_t bytes) noexcept override;
    [[nodiscard]] int set_guard(void* address, std::size_t bytes) noexcept override;
    [[nodiscard]] bool checks_access() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                               Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int unstage(void* slot, void* page, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* staged_bytes(const void* page, void* slot,
                                                std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool can_poison() const FAULTLINE_SIGNAL_SAFE override { return poisons_; }
    void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] StagedFrames staged_frames() const FAULTLINE_SIGNAL_SAFE override {
        return moves_ ? StagedFrames::move : StagedFrames::copy;
    }
    [[nodiscard]] Eviction eviction() const noexcept override { return moves_ ? Eviction::move : Eviction::copy; }

    [[nodiscard]] bool prepare_views() override { return shared_.prepare(); }
    void watch_shared(void* address, std::size_t bytes) override { shared_.watch(address, bytes); }
    void watch_shared_again(void* address, std::size_t bytes) override { shared_.watch(address, bytes); }
    [[nodiscard]] int map_view(void* address, std::size_t bytes, const void* source) noexcept override {
        return shared_.map(address, bytes, source);
    }
    [[nodiscard]] int unmap_view(void* address, std::size_t bytes) noexcept override {
        return shared_.unmap(address, bytes);
    }

private:
    [[nodiscard]] bool move_works();
    [[nodiscard]] bool poison_works();
    void try_batched_drop();
    void drop_own(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int fill_holes(std::byte* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int stage_by_move(std::byte* page, std::byte* slot, std::size_t bytes,
                                    std::size_t already) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int put_back(std::byte* page, std::byte* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int stage_by_copy(std::byte* page, std::byte* slot, std::size_t bytes,
                                    Protection protection) FAULTLINE_SIGNAL_SAFE;

    sys::Userfaultfd& uffd_;
    UffdViews shared_;
    std::uintptr_t staging_begin_ = 0;
    std::size_t staging_bytes_ = 0;
    bool moves_ = false;
    bool poisons_ = false;
    sys::FileDescriptor self_;  // a pidfd of this process; empty unless the kernel drops scattered pages in one call
    // Serialises copies, so that at most one page exists twice. The frame budget reserves frames for that one page.
    sys::FutexLock copy_turn_;
};

}  // namespace faultline::mmu
