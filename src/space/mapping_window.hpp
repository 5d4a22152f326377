// MappingWindow: the private mappings of a program in one range of addresses, with the meaning that mmap(2),
// munmap(2), mprotect(2) and mremap(2) have. It chooses addresses, and decides which memory the pager holds.
//
//   pager    anonymous memory that the program may write to, or once could; private copies of files (see map_file)
//   nobody   memory that it could never write to (PROT_NONE reservations): the kernel maps it, and it holds no page
//   kernel   everything else that the program maps into the window: files, shared and executable memory
//
// AddressSpace has other rules for its mappings (MappingArea): there all memory is the pager's. Both keep their
// segments in a SegmentSet. The preload is the only caller.
#pragma once

#include "pager/pager.hpp"
#include "space/gap_index.hpp"
#include "space/segment.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace faultline::space {

/// The arguments of mmap(2) after the address and the size.
struct MapRequest {
    std::uint64_t protection = 0;
    std::uint64_t flags = 0;
    std::uint64_t descriptor = 0;
    std::uint64_t offset = 0;

    /// Returns true if the pager can hold the memory: private, anonymous, not executable, of no special kind.
    [[nodiscard]] bool manageable() const noexcept;
    [[nodiscard]] bool writable() const noexcept;

    /// Returns true if the pager may hold `bytes` of a file with these arguments: a private copy that the program may
    /// write to. map_file then looks at the file.
    [[nodiscard]] bool copies_file(std::size_t bytes) const noexcept;

private:
    [[nodiscard]] bool is_plain_private() const noexcept;
};

/// The arguments of mremap(2).
struct RemapRequest {
    std::uint64_t old_address = 0;
    std::uint64_t old_bytes = 0;
    std::uint64_t new_bytes = 0;
    std::uint64_t flags = 0;
    std::uint64_t new_address = 0;
};

/// Not thread-safe: the caller serialises the calls, and blocks signals. The functions return what the system call
/// returns: 0, an address, or a negated errno. Ranges are whole pages inside the window.
class MappingWindow {
public:
    /// Called before pages leave the pager, with what the owner knows of them.
    using Leaving = void (*)(core::PageRange pages);

    /// Makes a window at `range`, in which nothing is mapped. `pager` must outlive it. Throws std::system_error.
    MappingWindow(pager::Pager& pager, AddressRange range, Leaving leaving);
    ~MappingWindow();
    MappingWindow(const MappingWindow&) = delete;
    MappingWindow& operator=(const MappingWindow&) = delete;

    [[nodiscard]] pager::Region& region() const noexcept { return region_; }
    [[nodiscard]] AddressRange range() const noexcept { return {region_.begin(), region_.end()}; }

    /// Returns true if nothing is mapped in a range of the window.
    [[nodiscard]] bool is_free(AddressRange range) const noexcept { return set_.is_free(range); }

    /// Maps `bytes` of manageable memory at `hint` if it is free, else elsewhere in the window.
    [[nodiscard]] long map(std::uint64_t hint, std::size_t bytes, const MapRequest& request);

    /// Maps memory of any kind at `range`, in place of what is mapped there (MAP_FIXED), or not if anything is
    /// (MAP_FIXED_NOREPLACE).
    [[nodiscard]] long map_fixed(AddressRange range, const MapRequest& request);

    /// Maps `bytes` of a private copy of a file, for a request that copies_file: memory of the pager that has the
    /// file's bytes, which are read now. The address is as for `map`. Returns nothing if the kernel should map the
    /// file: it is no regular file, ends before the mapping, cannot be read, or the window has no room.
    [[nodiscard]] std::optional<long> map_file(std::uint64_t hint, std::size_t bytes, const MapRequest& request);

    [[nodiscard]] long unmap(AddressRange range);
    [[nodiscard]] long protect(AddressRange range, std::uint64_t protection);

    /// Does what mremap(2) does, if the old or the new range touches the window.
    [[nodiscard]] long remap(const RemapRequest& request);

    /// Hands the pager's memory in a range over to the kernel, with its contents: no fault is raised for it any more.
    /// Leaves out memory that the program may not write to.
    [[nodiscard]] long give_to_kernel(AddressRange range);

    /// Returns the first part of a range that the pager has filled from a file; an empty range if it has filled none.
    [[nodiscard]] AddressRange first_file_part(AddressRange range) const noexcept;

    /// Hands all such parts of a range over to the kernel, with the files' bytes instead of the program's.
    [[nodiscard]] long restore_files(AddressRange range);

    /// Returns the first part of a range that is one mapping, or unmapped.
    [[nodiscard]] AddressRange first_mapping(AddressRange range) const noexcept;

    /// Records what madvise(2) with MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK or MADV_KEEPONFORK says of the memory
    /// in a range that is not the kernel's. The rule follows the memory when that moves or gets another keeper.
    void advise_fork(AddressRange range, int advice);

    /// Returns the memory that is not the kernel's and has a rule for children of fork.
    [[nodiscard]] std::vector<std::pair<AddressRange, ForkRule>> fork_rules() const;

private:
    [[nodiscard]] core::PageRange pages_of(AddressRange range) const noexcept;
    [[nodiscard]] std::optional<AddressRange> choose_free(std::uint64_t hint, std::size_t bytes);
    [[nodiscard]] bool claim(AddressRange range);
    [[nodiscard]] long put(AddressRange range, const MapRequest& request);
    [[nodiscard]] long put_in_pager(AddressRange range, Access access);
    [[nodiscard]] long release(AddressRange range);
    [[nodiscard]] long make_room(AddressRange range);
    [[nodiscard]] bool all_in_pager(AddressRange range) const noexcept;
    [[nodiscard]] long replace_in_place(AddressRange range);
    [[nodiscard]] long give_part_to_kernel(AddressRange part);
    [[nodiscard]] FileMapping map_beside(std::size_t bytes, const MapRequest& request);
    [[nodiscard]] long put_file(AddressRange range, const MapRequest& request, FileMapping beside);
    [[nodiscard]] long fill_from_file(AddressRange range, const MapRequest& request);
    [[nodiscard]] std::optional<long> replace_by_file(AddressRange range, const MapRequest& request, bool replaces);
    [[nodiscard]] long give_file_to_kernel(AddressRange part, bool with_contents);
    void drop_file_mappings(AddressRange range) noexcept;
    [[nodiscard]] long protect_part(AddressRange part, Keeper keeper, std::uint64_t protection);
    [[nodiscard]] long give_to_pager(AddressRange part);
    void copy_to(AddressRange range, std::uint64_t address) const;
    void note(AddressRange range, Keeper keeper, Access access, ForkRule fork = {});
    void forget(AddressRange range);
    void set_fork_rule(AddressRange range, ForkRule rule);

    [[nodiscard]] long remap_in_window(const Segment& segment, const RemapRequest& request);
    [[nodiscard]] long remap_kernel_memory(const RemapRequest& request);
    [[nodiscard]] long grow_in_place(AddressRange old, std::size_t bytes, const Segment& segment);
    [[nodiscard]] long put_alike(AddressRange range, const Origin& origin);
    [[nodiscard]] long move(AddressRange old, std::size_t bytes, const RemapRequest& request, const Origin& origin);
    [[nodiscard]] long move_out(AddressRange old, const RemapRequest& request);
    [[nodiscard]] long move_reservation(AddressRange old, AddressRange target, const Origin& origin, bool keeps_old);
    [[nodiscard]] long move_pages(AddressRange old, AddressRange target, const Origin& origin);

    pager::Pager& pager_;
    pager::Region& region_;
    Leaving leaving_;
    SegmentSet set_;                   // all that is mapped in the window
    GapIndex gaps_;                    // the rest
    std::uint64_t file_mappings_ = 0;  // made so far
};

}  // namespace faultline::space
