// Mapping: owns one anonymous mapping of the library: bookkeeping, buffers, regions and staging areas. It maps and
// unmaps. It does not map files (MemoryFile does) and does not decide which pages are mapped (the mappers do).
#pragma once

#include "core/signal_safe.hpp"

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace faultline::sys {

class Mapping {
public:
    Mapping() noexcept = default;

    /// Maps `bytes` of zeros: private, without reserved memory (MAP_NORESERVE), without huge pages, without page
    /// merging, and not in core dumps. `alignment` is a power of two of at least 4 KiB. If `shared_with_children` is
    /// false, fork leaves the mapping out (MADV_DONTFORK). The program's mlockall does not fill the mapping: an earlier
    /// one (MCL_FUTURE) does not lock it; a later one stops at the fence, where the kernel has guard markers (Linux
    /// 6.13). Lies in OwnPlace if there is one; then a mapping that is not shared with children does not exist in them,
    /// and `restore_in_child` must not be called. Throws std::system_error (ENOMEM); `purpose` names the mapping in the
    /// message.
    static Mapping reserve(std::size_t bytes, std::size_t alignment, bool shared_with_children, const char* purpose);

    /// Like reserve, but never in OwnPlace, and left out by fork: `restore_in_child` maps it again.
    static Mapping reserve_for_region(std::size_t bytes, std::size_t alignment, const char* purpose);

    /// Like reserve_for_region, but without access; `set_part_access` opens parts. Until a part is open, it
    /// counts against RLIMIT_AS, but not against the commit limit (vm.overcommit_memory=2).
    static Mapping reserve_closed(std::size_t bytes, std::size_t alignment, const char* purpose);

    /// Like reserve, but at `address`, a multiple of 4 KiB, without a fence, and left out by fork. Throws
    /// std::system_error: EEXIST if the range overlaps another mapping, otherwise like reserve.
    static Mapping reserve_at(std::uintptr_t address, std::size_t bytes, const char* purpose);

    /// Names a range without mapping it. The owner maps and unmaps parts, and calls `abandon` before destruction.
    static Mapping unmapped(std::uintptr_t address, std::size_t bytes) noexcept {
        return {reinterpret_cast<std::byte*>(address), bytes};  // NOLINT: an address is a number here
    }

    /// Names a part of another mapping, which outlives the result. The result unmaps nothing.
    [[nodiscard]] Mapping part(std::size_t offset, std::size_t bytes) const noexcept {
        Mapping result{address_ + offset, bytes};
        result.borrowed_ = true;
        return result;
    }

    Mapping(Mapping&& other) noexcept
        : address_{std::exchange(other.address_, nullptr)},
          bytes_{std::exchange(other.bytes_, 0)},
          fence_bytes_{std::exchange(other.fence_bytes_, 0)},
          borrowed_{other.borrowed_} {}
    Mapping& operator=(Mapping&& other) noexcept {
        if (this != &other) {
            reset();
            address_ = std::exchange(other.address_, nullptr);
            bytes_ = std::exchange(other.bytes_, 0);
            fence_bytes_ = std::exchange(other.fence_bytes_, 0);
            borrowed_ = other.borrowed_;
        }
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { reset(); }

    [[nodiscard]] std::byte* data() const noexcept { return address_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {address_, bytes_}; }
    explicit operator bool() const noexcept { return address_ != nullptr; }

    /// Returns the inaccessible page in front of a large range (MADV_GUARD_INSTALL), or an empty span if there is none.
    /// mlockall(MCL_CURRENT) fills locked memory from the front, mapping by mapping, and skips the rest of a mapping at
    /// the first page that it cannot get. The fence works only if it is in the same mapping as the range. So apply
    /// every madvise or mprotect that would split the mapping to the fence, too.
    [[nodiscard]] std::span<std::byte> fence() const noexcept { return {address_ - fence_bytes_, fence_bytes_}; }

    /// Unmaps the fence. Call before mapping something else over the range, which would split the fence off.
    void drop_fence() noexcept;

    void reset() noexcept;

    /// Makes the range read as zeros in children of fork (MADV_WIPEONFORK, Linux 4.14), instead of copying its pages.
    /// Throws std::system_error.
    void wipe_in_children() const;

    /// Makes a part accessible or not. Signal-safe. Returns 0 or an errno: ENOMEM if there are too many mappings.
    [[nodiscard]] int set_part_access(std::size_t offset, std::size_t bytes, Access access) const FAULTLINE_SIGNAL_SAFE;

    /// Returns the memory of a part to the kernel; afterwards the part reads as zeros. Signal-safe. Returns false if
    /// the program has locked the memory (mlockall) and the kernel is older than 5.18, which cannot drop it. Then
    /// nothing has changed.
    bool discard_part(std::size_t offset, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Maps the range without access in a child of fork that does not have it, so that no other mapping gets the
    /// addresses and is mistaken for the parent's. Accesses raise SIGSEGV. Does nothing if another mapping was faster.
    void close_in_child() noexcept;

    /// Maps the range again as zeros, with `access`, in a child of fork that does not have it. Throws std::system_error
    /// (EEXIST if something else is mapped there, ENOMEM).
    void restore_in_child(Access access = Access::read_write);

    /// See sys::copy_to_children. Includes the fence.
    [[nodiscard]] int copy_to_children(bool on) const noexcept;

    /// Gives up ownership without unmapping: the range is no longer mapped in this process.
    void abandon() noexcept {
        address_ = nullptr;
        bytes_ = 0;
        fence_bytes_ = 0;
    }

private:
    Mapping(std::byte* address, std::size_t bytes) noexcept : address_{address}, bytes_{bytes} {}

    /// Where a mapping goes: see OwnPlace. `own_place_of_process`: children of fork do not have it.
    enum class Where : std::uint8_t { anywhere, own_place, own_place_of_process };

    static Mapping map_closed(std::size_t bytes, std::size_t alignment, Where where, const char* purpose);
    static Mapping reserve_somewhere(std::size_t bytes, std::size_t alignment, Where where, bool shared_with_children,
                                     const char* purpose);
    void open(const char* purpose) const;
    [[nodiscard]] bool put_fence(std::size_t bytes) noexcept;
    [[nodiscard]] std::span<std::byte> with_fence() const noexcept {
        return {address_ - fence_bytes_, bytes_ + fence_bytes_};
    }

    std::byte* address_ = nullptr;
    std::size_t bytes_ = 0;
    std::size_t fence_bytes_ = 0;
    bool closed_in_child_ = false;
    bool borrowed_ = false;
};

/// Maps zeros without access over a range, in place of what is mapped there, with the properties that
/// Mapping::reserve_at gives. Returns 0 or an errno; after an error the range may lack some of the properties.
[[nodiscard]] int map_closed_zeros(void* address, std::size_t bytes) noexcept;

/// Says what children of fork have of a range: copies of its pages (MADV_DOFORK), or nothing (MADV_DONTFORK). Returns 0
/// or an errno; after an error a part of the range may have changed.
[[nodiscard]] int copy_to_children(void* address, std::size_t bytes, bool on) noexcept;

/// munmap(2), or OwnPlace::give_back for memory that lies there. Returns 0 or an errno. Signal-safe.
[[nodiscard]] int unmap(void* address, std::size_t bytes) noexcept;

/// Maps `bytes` of zeros to read and write, without huge pages, in OwnPlace if there is one. `unmap` takes them back.
/// Returns null if there is no memory. Signal-safe.
[[nodiscard]] std::byte* map_zeros(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// Maps a range without access, unless something is mapped there. Returns true if it did.
bool close_if_free(void* address, std::size_t bytes) noexcept;

/// mprotect(2). Returns 0 or an errno.
[[nodiscard]] int set_access(void* address, std::size_t bytes, Access access) noexcept;

/// Sets whether core dumps include a range. This may split the range from its neighbours into mappings of its own.
/// Returns 0 or an errno: ENOMEM if there are too many mappings (then a part may have changed).
[[nodiscard]] int set_dumped(void* address, std::size_t bytes, bool dumped) noexcept;

/// madvise(2); waits out transient errors, except ENOMEM. Returns 0 or an errno. Signal-safe.
[[nodiscard]] int advise(void* address, std::size_t bytes, int advice) FAULTLINE_SIGNAL_SAFE;

/// Unlocks a range of empty memory without access that the program's mlockall has locked. Otherwise the kernel would
/// fill the range as soon as it becomes accessible. Signal-safe.
void unlock_pages(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// Drops the pages of a range, even if the program has locked them (mlockall). Ends the process if the range is no
/// longer mapped. Signal-safe.
void drop_pages(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// `all_present` returns true if the kernel has a page everywhere in a range, `all_absent` if it has none (mincore(2)).
/// The range is at most 2 MiB of private anonymous memory. Both return false if the kernel does not tell. Signal-safe.
[[nodiscard]] bool all_present(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
[[nodiscard]] bool all_absent(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// Returns the bytes of physical memory in the machine.
[[nodiscard]] std::size_t physical_memory() noexcept;

}  // namespace faultline::sys
