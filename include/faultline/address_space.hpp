// AddressSpace: the memory of one program - text, data, bss, heap, mappings, stack - laid out as Linux does it and
// paged by one pager. A process may have many spaces, which share the pager's limit. A space runs no code and starts no
// thread. Hosts of guest programs create it; see demos/run_elf.cpp.
#pragma once

#include <faultline/language.hpp>

#include <faultline/access_violation.hpp>
#include <faultline/export.hpp>
#include <faultline/layout.hpp>
#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/segment_info.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace faultline {

namespace space {
class Space;
}

inline namespace v0 {

/// Options of `AddressSpace::map_anonymous` and `map_file`.
struct MapOptions {
    /// The accesses that the mapping allows.
    Access access = Access::read_write;

    /// Exact address of the mapping: a multiple of 4 KiB in one of the space's two ranges. Null: the highest free place
    /// of the mapping area.
    void* address = nullptr;

    /// With `address`: true replaces what is mapped there, except heap, stack and guard. False fails with EEXIST if
    /// anything is mapped there.
    bool replace = false;

    /// For files: shares the pages with other shared mappings of the file, in this and other spaces of the pager. They
    /// see writes at once. A page's changes are written to the file when it is evicted, on `sync`, and when its last
    /// mapping is unmapped or destroyed. Private mappings and other processes see the changes then.
    ///
    /// For writing, the descriptor must be open for reading and writing, without O_APPEND. Before Linux 6.4, except
    /// under Delivery::sigsegv, each mapping has pages of its own, and sees others' writes only through the file.
    bool shared = false;

    /// Name for maps and violations. Empty: for a file, the last component of its path.
    std::string name{};
};

/// The memory of one program, in managed memory.
///
/// Any thread may call the functions, but not in a signal handler. Destroying or moving the handle must not race with
/// calls. Loads and stores to the space's memory are as safe as those to a `Region`.
///
/// Sizes are in bytes, and are rounded up to whole pages of 4 KiB. Addresses are multiples of 4 KiB unless a function
/// says otherwise. Errors are std::system_error. A call that fails has changed nothing, unless its comment says
/// otherwise. In a child of fork, calls fail with EPERM unless the pager is inherited; then no other thread may have
/// been in a call at the fork.
///
/// The pager's figures count file pages that are not in memory as swapped; `usage` counts them separately.
///
/// An access that no segment allows raises SIGSEGV with the siginfo that the kernel would give; see on_violation.
///
///     faultline::AddressSpace space{pager};
///     std::byte* pages = space.map_anonymous(std::size_t{1} << 20);
class FAULTLINE_API AddressSpace {
public:
    /// Lays out a space, and maps the segments of `image` into it. Throws EEXIST (a fixed address is taken, or image
    /// segments overlap), EINVAL (an invalid layout or image), ENOMEM, or the error of opening a file.
    explicit AddressSpace(Pager& pager, std::span<const ImageSegment> image = {}, const Layout& layout = {});

    /// Frees all memory, addresses and swap space. While a `Pin` of the space lives, or a call of io.hpp uses its
    /// memory, all of the space stays until the last of them ends; the handler of violations is no longer called.
    /// Throws nothing.
    ~AddressSpace();
    /// Takes over the space of the other handle, which is empty afterwards.
    AddressSpace(AddressSpace&&) noexcept;
    /// Gives up the own space as the destructor does, then takes over that of the other handle.
    AddressSpace& operator=(AddressSpace&&) noexcept;
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    /// True if the handle owns a space: it was not moved from.
    explicit operator bool() const noexcept { return space_ != nullptr; }

    // ---- clones

    /// Returns a space with the same segments and contents. From then on the two are independent: neither sees what the
    /// other writes, maps or advises. Of shared mappings both see the same pages; of private mappings each has its own
    /// changes. Break, protections, advice, names, layout and the handler of violations are copied; pins are not.
    ///
    /// Segments keep their distance from `image` or `stack_end`, but have other addresses (see `counterpart`). Pointers
    /// that are stored in the clone's memory point into the original. Either space may be destroyed first. A clone may
    /// be cloned.
    ///
    /// No page is copied at once. Until one space writes to a page, both read one version of it. It has one frame,
    /// which moves to the space that needs it, and one place in the swap store (see docs/address-space.md).
    ///
    /// Other threads may use and write to the space during the call: the clone shows the space at one moment of it. The
    /// call first writes all dirty pages, at the disk's speed. During that time, faults of the whole process and writes
    /// to this space wait. Writes to pages that are pinned for writing may or may not be in the clone. The caller's
    /// stack must not lie in managed memory. Not for signal handlers.
    ///
    /// Throws EINVAL, EEXIST (a given address is taken), ENOMEM, EAGAIN (no thread), or the error of writing (ENOSPC,
    /// EIO).
    [[nodiscard]] AddressSpace clone(const ClonePlace& place = {});

    /// Returns the address here that corresponds to `address` in `other`, if the two come from one space by cloning.
    /// Mappings made since then are ignored. Throws EINVAL: they do not come from one space, or `address` is not in
    /// `other`.
    [[nodiscard]] std::byte* counterpart(const AddressSpace& other, const void* address) const;

    // ---- the heap

    /// Moves the break to `address`, as the system call brk(2) does, and returns the new break. `address` may have any
    /// alignment. Null returns the break.
    ///
    /// The break stays, and the call returns it, if `address` is below the heap's begin, above its limit, or less than
    /// a page below another mapping, or at vm.max_map_count. Whole pages above the new break are discarded, with frames
    /// and swap space; they read as zeros when the heap grows again. Throws EBUSY when such a page is pinned.
    std::byte* brk(const void* address);

    /// Moves the break by `delta` bytes, as sbrk(3) does, and returns the old break, or `kNoBreak` if it cannot move.
    std::byte* sbrk(std::ptrdiff_t delta);
    static std::byte* const kNoBreak;  ///< What `sbrk` returns on failure: all bits set, as sbrk(3) returns.

    // ---- the mapping area

    /// Maps zeros, and returns their address. Throws EINVAL, EEXIST (see MapOptions), ENOMEM (no room, or
    /// vm.max_map_count).
    std::byte* map_anonymous(std::size_t bytes, const MapOptions& options = {});

    /// Maps a file, and returns the address. The mapping is private unless `options.shared`: a fault reads the page
    /// from the file, and the program's changes stay in the space. `descriptor` must be readable, and may be closed
    /// after the call. `offset` is in bytes, a multiple of 4 KiB.
    ///
    /// The rest of the file's last page is zeros. An access beyond that page raises SIGBUS, also after the file was
    /// truncated; the page stays so until `retry`. A page that is in memory when the file changes may keep its old
    /// bytes.
    ///
    /// Throws what map_anonymous throws, EACCES, EBADF, and ENODEV for a descriptor that is not a regular file's.
    std::byte* map_file(int descriptor, std::uint64_t offset, std::size_t bytes, const MapOptions& options = {});

    /// Unmaps a range, which may have gaps and may begin and end inside mappings. Throws EINVAL (misaligned, not in the
    /// space, or in heap or stack), EBUSY (a page is pinned), EIO (a shared file does not accept dirty pages), ENOMEM
    /// (vm.max_map_count). After ENOMEM mappings at lower addresses may be unmapped; the others keep their contents.
    void unmap(void* address, std::size_t bytes);
    /// Unmaps the range of a span.
    void unmap(std::span<std::byte> range) { unmap(range.data(), range.size()); }

    /// Sets the accesses that a range without gaps allows. Throws EINVAL, ENOMEM (a gap, or vm.max_map_count), EBUSY
    /// (see Region::protect).
    void protect(void* address, std::size_t bytes, Access access);
    /// Protects the range of a span.
    void protect(std::span<std::byte> range, Access access) { protect(range.data(), range.size(), access); }

    /// Gives `advice` on a range without gaps, of any alignment; see `Advice`. Throws EINVAL, ENOMEM (a gap).
    void advise(const void* address, std::size_t bytes, Advice advice);
    /// Gives `advice` on the range of a span.
    void advise(std::span<const std::byte> range, Advice advice) { advise(range.data(), range.size(), advice); }
    /// Gives `advice` on many ranges of any alignment with one call.
    void advise(std::span<const std::span<const std::byte>> ranges, Advice advice);

    /// Drops the contents of a range without gaps, as madvise(2) with MADV_DONTNEED does. Anonymous pages read as
    /// zeros; private pages of a file read from the file again. A shared mapping keeps its contents, and its pages are
    /// evicted. Other threads that access private pages of a file during the call may read zeros there.
    ///
    /// Throws EINVAL, ENOMEM (a gap), EBUSY (a page is pinned; other pages may be discarded then).
    void discard(void* address, std::size_t bytes);
    /// Discards the range of a span.
    void discard(std::span<std::byte> range) { discard(range.data(), range.size()); }

    /// Writes the dirty pages of shared mappings in a range without gaps to their files, and blocks until they are on
    /// the disk. Evicts these pages. Pages that other threads write to during the call may be dirty afterwards. Throws
    /// EINVAL, ENOMEM (a gap), EBUSY (a page is pinned, or held by the kernel), or the error of writing.
    void sync(void* address, std::size_t bytes);
    /// Writes the dirty shared pages in the range of a span.
    void sync(std::span<std::byte> range) { sync(range.data(), range.size()); }

    /// After a read error, lets the next access to the range read again, instead of raising SIGBUS.
    void retry(void* address, std::size_t bytes);
    /// Lets accesses to the range of a span read again.
    void retry(std::span<std::byte> range) { retry(range.data(), range.size()); }

    /// Pins a range, as Region::pin does. Throws ENOMEM also if the range has a gap.
    [[nodiscard]] Pin pin(const void* address, std::size_t bytes, PinFor purpose = PinFor::writing);
    /// Pins the range of a span.
    [[nodiscard]] Pin pin(std::span<const std::byte> range, PinFor purpose = PinFor::writing) {
        return pin(range.data(), range.size(), purpose);
    }

    // ---- inspection

    [[nodiscard]] std::byte* image() const noexcept;        ///< Returns the begin of the image.
    [[nodiscard]] std::byte* heap_begin() const noexcept;   ///< Returns the lowest possible break.
    [[nodiscard]] std::byte* stack_begin() const noexcept;  ///< Returns the lowest address that the stack can grow to.
    [[nodiscard]] std::byte* stack_end() const noexcept;    ///< Returns the end of the stack, which grows down from it.

    /// Returns all segments, lowest address first.
    [[nodiscard]] std::vector<SegmentInfo> segments() const;

    /// Returns the memory use of a segment, or of any other range of this space. Reads 8 bytes per page ever touched.
    [[nodiscard]] SegmentUsage usage(const SegmentInfo& range) const;

    /// Divides the pages that a range of any alignment touches into `cells.size()` equal parts, and stores for each how
    /// many bytes are in which state, as Region::residency does. Addresses without a segment count as untouched, and so
    /// do pages of a file that were never in memory. Throws EINVAL for a range that is not in the space.
    void residency(const void* address, std::size_t bytes, std::span<ResidencyCell> cells) const;

    /// Returns the segments in the format of /proc/PID/maps, with their names.
    [[nodiscard]] std::string maps() const;

    /// Returns each segment with its size and usage in KiB, in the format of /proc/PID/smaps.
    [[nodiscard]] std::string smaps() const;

    /// Explains `address`, which may be any number: its segment, page state and page table indices.
    [[nodiscard]] Explanation explain(const void* address) const;

    /// Returns what page tables for this space cost.
    [[nodiscard]] TableCost table_cost() const;

    /// Installs the handler that is called for each access that no segment allows, and that decides what happens. Null:
    /// raise SIGSEGV. A SIGSEGV handler that the program installs after the space was made runs before this one, and
    /// may chain to it. `context` is passed to the handler.
    void on_violation(ViolationHandler handler, void* context = nullptr);

private:
    explicit AddressSpace(std::shared_ptr<space::Space> space) noexcept;
    void reset() noexcept;

    std::shared_ptr<space::Space> space_;
};

}  // namespace v0
}  // namespace faultline
