// ProtectMapper: a Mapper without userfaultfd. The program's mapping shows a memory file. A page is mapped and unmapped
// by changing its protection, or by guard markers. The pager reads and writes the file through its descriptor. It fills
// a page while the page is inaccessible, so no thread sees a half-filled page. Frames never move: a staged page is an
// inaccessible page.
//
// The pager has no second mapping of the file. When the kernel frees a page that is mapped anywhere else, it removes
// the guard markers on it, and the program would read zeros.
//
// "Hidden" means PROT_NONE (Eviction::protect) or a guard marker inside a writable mapping (Eviction::guard). Guard
// markers need no mappings. With PROT_NONE each isolated accessible page costs two.
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
    /// Tests on a scratch page whether guard markers work on memory files. Throws std::system_error: EOPNOTSUPP if
    /// `wanted` is `guard` and they do not work, EINVAL if `wanted` needs userfaultfd, EFBIG under a file size limit,
    /// EMFILE.
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
    /// Always false: the mapper cannot see what the program did to the protection.
    [[nodiscard]] bool is_mapped(const void*, std::size_t) const FAULTLINE_SIGNAL_SAFE override { return false; }
    /// Always true: reading the file never faults; an unreadable page is an error.
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
    void wake(void*, std::size_t) FAULTLINE_SIGNAL_SAFE override {}  // no thread sleeps in the kernel for a page
    [[nodiscard]] StagedFrames staged_frames() const FAULTLINE_SIGNAL_SAFE override { return StagedFrames::stay; }
    [[nodiscard]] Eviction eviction() const noexcept override { return guards_ ? Eviction::guard : Eviction::protect; }
    [[nodiscard]] bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool low_on_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE override;

    /// Always true: a view maps the part of the memory file that holds the region's pages.
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
        core::UnitRange run;
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

    sys::MemoryFile frames_;   // the offset of a page is its address
    sys::MemoryFile nothing_;  // an empty file: accesses to its mappings raise SIGBUS
    bool guards_ = false;
    // Guards `regions_` and their ViewMaps. No system call is made while it is held.
    mutable sys::FutexLock lock_;
    Regions regions_;
    // Held during the system calls that make a part of a region accessible for guard markers. A thread that then finds
    // the part open may rely on it. Lock order: before `lock_`. Taken by one fault in hundreds.
    sys::FutexLock opening_;
    // Position of the search in fragmenting_runs; guarded by `lock_`.
    std::size_t island_units_ = 1;
    std::size_t island_region_ = 0;
};

}  // namespace faultline::mmu
