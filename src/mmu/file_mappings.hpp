// FileMappings: the memory file that holds the frames of a pager without userfaultfd, and the program's mappings of it.
// The pager reads and writes the file through its descriptor. A page is opened and closed by changing the protection of
// its mappings, or by guard markers. It does not know which mappings a page has: ProtectMapper does.
//
// The pager has no second mapping of the file. When the kernel frees a page that is mapped anywhere else, it removes
// the guard markers on it, and the program would read zeros.
//
// "Closed" means PROT_NONE (Eviction::protect) or a guard marker inside a writable mapping (Eviction::guard). Guard
// markers need no mappings. With PROT_NONE each isolated open page costs two.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "mmu/unit_map.hpp"
#include "mmu/unit_maps.hpp"
#include "sys/futex_lock.hpp"
#include "sys/memory_file.hpp"

#include <faultline/types.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::mmu {

/// A part of one region's address range that maps the file from `offset` on.
struct FileMapping {
    UnitMap& map;
    core::UnitRange run;
    std::uint64_t offset;
    [[nodiscard]] std::byte* address() const noexcept { return map.address_of(run.first); }
    [[nodiscard]] std::size_t bytes() const noexcept { return run.count * core::kUnitBytes; }
};

/// Fault path calls return 0 or an errno and are signal-safe. The offset of a page in the file is its address in its
/// region.
class FileMappings {
public:
    /// Tests on a scratch page whether guard markers work on memory files. Throws std::system_error: EOPNOTSUPP if
    /// `wanted` is `guard` and they do not work, EINVAL if `wanted` needs userfaultfd, EFBIG under a file size limit,
    /// EMFILE.
    explicit FileMappings(Eviction wanted);

    [[nodiscard]] bool uses_guards() const noexcept { return guards_; }

    // ---- Regions: see Mapper and Mappers

    void start_in_child();
    void watch_region(void* address, std::size_t bytes);
    void watch_again(void* address, std::size_t bytes);
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    void unwatch_region(void* address) noexcept;
    void watch_window(void* address, std::size_t bytes) { maps_.add_window(static_cast<std::byte*>(address), bytes); }
    void forget_window(const void* address) noexcept;
    [[nodiscard]] int map_part(void* address, std::size_t bytes) noexcept;
    void forget_part(void* address, std::size_t bytes) noexcept;
    [[nodiscard]] int map_view(void* address, std::size_t bytes, const void* source) noexcept;
    [[nodiscard]] int unmap_view(void* address, std::size_t bytes) noexcept;

    // ---- Bytes of pages, which need no mapping

    [[nodiscard]] int write(const void* page, const void* from, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
        return frames_.write(from, bytes, core::address_of(page));
    }
    [[nodiscard]] int read(const void* page, void* into, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
        return frames_.read(into, bytes, core::address_of(page));
    }
    void free(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
        frames_.free(core::address_of(page), bytes);
    }

    // ---- Mappings of pages

    /// Returns the mapping of a range that maps the file from `offset` on. The caller owns the pages.
    [[nodiscard]] FileMapping mapping_at(const void* address, std::size_t bytes,
                                         std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;

    /// Lets the program do what `access` says, whatever it could do before. `closed` closes the mapping.
    [[nodiscard]] int set(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    /// The same for a mapping that is open, with at most one system call.
    [[nodiscard]] int change(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    /// The same as `set`, if the program may have changed the mapping itself: repeats all system calls.
    [[nodiscard]] int set_again(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int close(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE;
    /// Makes accesses raise SIGBUS until the mapping is closed.
    [[nodiscard]] int poison(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE;

    /// See Mappers::fragmenting_runs. Here a run is named by its address in the mapping.
    [[nodiscard]] std::size_t fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE;

private:
    [[nodiscard]] bool guards_work();
    [[nodiscard]] int open(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int change_protection(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int prepare_guards(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int remove_poison(const FileMapping& mapping) FAULTLINE_SIGNAL_SAFE;
    void note_new_mapping(const FileMapping& mapping, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map_frames(void* address, std::size_t bytes, const void* source,
                                 std::int64_t more_mappings) noexcept;

    sys::MemoryFile frames_;
    sys::MemoryFile nothing_;  // an empty file: accesses to its mappings raise SIGBUS
    bool guards_ = false;
    UnitMaps maps_;
    // Held during the system calls that make a part of a region accessible for guard markers. A thread that then finds
    // the part open may rely on it. Lock order: before the lock of `maps_`. Taken by one fault in hundreds.
    sys::FutexLock opening_;
};

}  // namespace faultline::mmu
