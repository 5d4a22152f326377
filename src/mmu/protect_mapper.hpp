// ProtectMapper: changes mappings without userfaultfd. The program's view maps a memory file, and a page is shown and
// hidden by protection (or by a guard); the pager reads and writes the file through its descriptor, behind the view. A
// page is filled while it is hidden, so nobody sees a half-filled one. Frames never move: a staged page is a hidden
// one.
//
// The pager has no second mapping of the file, because it would be one too many: when the kernel frees a page that is
// still mapped anywhere, it takes the guards away that hide it, and the program would read zeros.
//
// Hidden is PROT_NONE (Eviction::protect), or a guard marker inside a writable mapping (Eviction::guard): markers take
// no mapping, where isolated pages shown between hidden ones take two each.
#pragma once

#include "mmu/mapper.hpp"
#include "mmu/view_map.hpp"
#include "sys/futex_lock.hpp"
#include "sys/mapping.hpp"
#include "sys/memory_file.hpp"

#include <faultline/types.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace faultline::mmu {

class ProtectMapper final : public Mapper {
public:
    /// Tries on a page of its own whether guards work on memory files. Throws std::system_error: EOPNOTSUPP when
    /// `wanted` is `guard` and they do not, EINVAL when it is for userfaultfd, EFBIG under a file size limit, EMFILE.
    explicit ProtectMapper(Eviction wanted, const ViewRegistry* views = nullptr);
    ~ProtectMapper() override;

    void watch_region(void* address, std::size_t bytes) override;
    void start_in_child() override;
    void watch_again(void* address, std::size_t bytes) override;
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void unwatch_region(void* address) noexcept override;
    void watch_staging(void*, std::size_t) override {}

    [[nodiscard]] int install(void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// What the program has done to the protection does not show.
    [[nodiscard]] bool is_mapped(const void*, std::size_t) const FAULTLINE_SIGNAL_SAFE override { return false; }
    /// What is not there is an error, and no fault.
    [[nodiscard]] bool can_copy_from(const void*, std::size_t) const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] int restore(void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int forbid_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool checks_access() const FAULTLINE_SIGNAL_SAFE override { return false; }
    [[nodiscard]] Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                               Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int unstage(void* slot, void* page, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* staged_bytes(const void* page, void* slot,
                                                std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void release_staged_bytes(void* slots, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool can_poison() const FAULTLINE_SIGNAL_SAFE override { return true; }
    void wake(void*, std::size_t) FAULTLINE_SIGNAL_SAFE override {}  // nobody sleeps in the kernel for a page
    [[nodiscard]] StagedFrames staged_frames() const FAULTLINE_SIGNAL_SAFE override { return StagedFrames::stay; }
    [[nodiscard]] Eviction eviction() const noexcept override { return guards_ ? Eviction::guard : Eviction::protect; }
    [[nodiscard]] bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool low_on_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE override;

    /// What it takes is there: a view maps the memory file where its pages are, instead of where it is itself.
    [[nodiscard]] bool prepare_views() override { return true; }
    [[nodiscard]] int map_view(void* address, std::size_t bytes, const void* source) noexcept override;
    [[nodiscard]] int unmap_view(void* address, std::size_t bytes) noexcept override;

private:
    struct Watched {
        Watched(std::byte* address, std::size_t bytes) : begin{address}, end{address + bytes}, map{address, bytes} {}
        std::byte* begin;
        std::byte* end;
        ViewMap map;
    };
    struct Place {
        Watched& region;
        UnitRun run;
        [[nodiscard]] std::byte* address() const noexcept { return region.map.address_of(run.first); }
    };
    using Regions = std::vector<std::unique_ptr<Watched>>;  // sorted by address

    [[nodiscard]] bool guards_work();
    [[nodiscard]] Watched& region_at(const void* address) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Place place_of(const void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int show(Place place, View view) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int hide(Place place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int install_guards(Place place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int prepare_guards(Place place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int change_view(Place place, View view) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int take_poison_away(Place place) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int poison_at(Place place) FAULTLINE_SIGNAL_SAFE;
    void note_view(Place place, View view) FAULTLINE_SIGNAL_SAFE;
    template <typename Act>
    [[nodiscard]] int for_each_place(void* page, std::size_t bytes, Act act) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int show_in_view(Place place, View view, Access access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int change_in_view(Place place, View view, Access access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int show_again(Place place, View view) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map_frames(void* address, std::size_t bytes, const void* source,
                                 std::int64_t more_mappings) noexcept;
    void name_by_source(iovec& run) const FAULTLINE_SIGNAL_SAFE;

    sys::MemoryFile frames_;   // a page's offset is its address
    sys::MemoryFile nothing_;  // an empty file: what is mapped from it raises SIGBUS
    bool guards_ = false;
    // Guards `regions_` and what their maps say; no system call under it.
    mutable sys::FutexLock lock_;
    Regions regions_;
    // Held over the system calls that open a stretch of a view for guards: who finds it open may rely on it. Always
    // taken before `lock_`, and by one fault in hundreds.
    sys::FutexLock opening_;
    // Of fragmenting_runs; guarded by `lock_`.
    std::size_t island_units_ = 1;
    std::size_t island_region_ = 0;
};

}  // namespace faultline::mmu
