// AddressSpace: what every program has - text, data, bss, heap, mappings, stack - laid out as Linux does it and paged
// by one pager. A program may have many, which share the pager's limit. It runs no code and starts no thread: code that
// uses its memory, does.
#pragma once

#include <faultline/language.hpp>

#include <faultline/access_violation.hpp>
#include <faultline/export.hpp>
#include <faultline/layout.hpp>
#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/segment_info.hpp>
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

struct MapOptions {
    Access access = Access::read_write;

    /// Exactly there: a multiple of 4 KiB, in one of the space's two ranges. Null: wherever there is room, from the top
    /// down.
    void* address = nullptr;

    /// With `address`: what is mapped there goes, except heap, stack and guard. Else the call fails with EEXIST.
    bool replace = false;

    /// Of a file: other shared mappings of it, here and in other spaces of the pager, are the same pages, and see at
    /// once what is written. It goes to the file when its page leaves, with `sync`, and when the last mapping of the
    /// page goes, with `unmap` or its space; private mappings and other processes see it then. For writing, the
    /// descriptor must be open for both, and not for appending. Before Linux 6.4, except under Delivery::sigsegv, each
    /// mapping has pages of its own, and sees what others write through the file.
    bool shared = false;

    /// For maps and violations. Empty: of a file, the last part of its path.
    std::string name{};
};

/// Safe to use from any thread, not from a signal handler; destroying or moving the handle must not race with calls.
/// Plain loads and stores to its memory are safe as those to a `Region` are. Sizes are in bytes, and are rounded up to
/// whole pages of 4 KiB; addresses are multiples of it where nothing else is said. Errors are std::system_error; a call
/// that fails has changed nothing, where nothing else is said. In a child of fork: EPERM, unless the pager is
/// inherited, and then no other thread may have been in a call at the fork.
///
/// The pager's figures count pages of files that are not in memory as swapped; `usage` tells them apart.
///
/// An access that no segment allows raises SIGSEGV with the siginfo that the kernel would have given; see on_violation.
class FAULTLINE_API AddressSpace {
public:
    /// Lays out a space with the program `image` in it. Throws EEXIST (fixed addresses taken, image segments overlap),
    /// EINVAL (an impossible layout or image), ENOMEM, or what opening a file may meet.
    explicit AddressSpace(Pager& pager, std::span<const ImageSegment> image = {}, const Layout& layout = {});

    /// Gives everything back. Ends the program while a `Pin` of the space lives.
    ~AddressSpace();
    AddressSpace(AddressSpace&&) noexcept;
    AddressSpace& operator=(AddressSpace&&) noexcept;
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    // ---- clones

    /// A space with the same segments and contents, of which each goes its own way from here on: what one writes, maps
    /// or advises, the other does not see. Segments have the same distances from `image` or `stack_end`, but other
    /// addresses (see `counterpart`): pointers that are stored in the space lead to the original. Break, protections,
    /// advice, names, layout and the handler of violations are the same; pins are not. Of shared mappings both see
    /// the same pages; of private ones each has its own changes. Either may be destroyed first, and a clone may be
    /// cloned.
    ///
    /// Nothing is copied: both read one version of each page, in memory in one frame, which goes to whoever needs it
    /// next, and in one place of the swap store, until one writes to it (see docs/address-space.md).
    ///
    /// Other threads may use and write to the space meanwhile: the clone has it as it was at one moment during the
    /// call. First all that is new is written out, at the disk's speed; as long as that takes, faults of the whole
    /// process wait, and writes to this space. Of pages pinned for writing, what is written meanwhile may be in the
    /// clone or not. The caller's stack must not be in managed memory, nor may a signal handler call it.
    ///
    /// Throws EINVAL, EEXIST (an address given is taken), ENOMEM, EAGAIN (no thread), or what writing may meet (ENOSPC,
    /// EIO).
    [[nodiscard]] AddressSpace clone(const ClonePlace& place = {});

    /// Where in this space is what `other` has at `address`, if both come from one by cloning. It says nothing of what
    /// was mapped there since. Throws EINVAL: they do not, or it is no address of `other`.
    [[nodiscard]] std::byte* counterpart(const AddressSpace& other, const void* address) const;

    // ---- the heap

    /// Like the system call brk(2): moves the break to `address`, which need not be a multiple of anything, and returns
    /// the break afterwards: what it was before, where it cannot be moved (below the heap's begin, above its limit, or
    /// less than a page below something else, at vm.max_map_count). Null asks. Whole pages above the break are gone,
    /// frames and swap space too; growing again shows zeros there. Throws EBUSY when a page that would go is pinned.
    std::byte* brk(const void* address);

    /// Like sbrk(3): moves the break by `delta` bytes and returns where it was before, or `kNoBreak` where it cannot be
    /// moved.
    std::byte* sbrk(std::ptrdiff_t delta);
    static std::byte* const kNoBreak;  ///< All bits set, as sbrk(3) has it.

    // ---- the mapping area

    /// Maps zeros. Throws EINVAL, EEXIST (see MapOptions), ENOMEM (no room, or vm.max_map_count).
    std::byte* map_anonymous(std::size_t bytes, const MapOptions& options = {});

    /// Maps a file; unless `shared`, private: pages come from the file when they are asked for, and what the program
    /// writes is its own. `descriptor` must be readable, and may be closed afterwards; `offset` is a multiple of 4 KiB.
    /// The rest of the file's last page is zeros, and an access beyond it raises SIGBUS, also when it was truncated
    /// meanwhile; such a page stays so until `retry`. What is in memory when the file changes may stay as it was.
    /// Throws as above, EACCES, EBADF, and ENODEV for what is no regular file.
    std::byte* map_file(int descriptor, std::uint64_t offset, std::size_t bytes, const MapOptions& options = {});

    /// Takes all mappings out of the range, which may have gaps and cut through mappings. Throws EINVAL (misaligned,
    /// not in the space, heap or stack), EBUSY when a page is pinned, EIO when a file that is shared does not take what
    /// is new, ENOMEM at vm.max_map_count (mappings below the one that stays may then be gone; none loses its
    /// contents).
    void unmap(void* address, std::size_t bytes);

    /// Sets what the program may do with a range without gaps. Throws EINVAL, ENOMEM (a gap, or vm.max_map_count),
    /// EBUSY (see Region::protect).
    void protect(void* address, std::size_t bytes, Access access);

    /// See `Advice`. The range has no gaps, and any alignment. Throws EINVAL, ENOMEM (a gap).
    void advise(const void* address, std::size_t bytes, Advice advice);

    /// Forgets the contents of a range without gaps, as MADV_DONTNEED of madvise(2) does: what is of no file reads as
    /// zeros, what is private of a file is the file's again. A shared mapping keeps its contents; its pages leave
    /// memory. Other threads that access what is private of a file meanwhile may find zeros there. Throws EINVAL,
    /// ENOMEM (a gap), EBUSY when a page is pinned (others may be gone then).
    void discard(void* address, std::size_t bytes);

    /// Writes what is new in shared mappings of a range without gaps to their files, and returns when it is on the
    /// disk. The pages leave memory on the way. What is written meanwhile may be new again. Throws EINVAL, ENOMEM (a
    /// gap), EBUSY when a page is pinned or held by the kernel, or what writing may meet.
    void sync(void* address, std::size_t bytes);

    /// Lets the next access to pages that could not be read try again, instead of raising SIGBUS at once.
    void retry(void* address, std::size_t bytes);

    /// Like Region::pin. Throws ENOMEM also where the range has a gap.
    [[nodiscard]] Pin pin(const void* address, std::size_t bytes, PinFor purpose = PinFor::writing);

    // ---- what is where

    [[nodiscard]] std::byte* image() const noexcept;        ///< The image's begin.
    [[nodiscard]] std::byte* heap_begin() const noexcept;   ///< The lowest break.
    [[nodiscard]] std::byte* stack_begin() const noexcept;  ///< How far the stack may grow down.
    [[nodiscard]] std::byte* stack_end() const noexcept;    ///< Where it begins, growing down.

    /// All segments, lowest first.
    [[nodiscard]] std::vector<SegmentInfo> segments() const;

    /// What a segment of this space takes, or any other range of it. Reads 8 bytes per page that was ever touched.
    [[nodiscard]] SegmentUsage usage(const SegmentInfo& range) const;

    /// As /proc/PID/maps has it, with the segments' names.
    [[nodiscard]] std::string maps() const;

    /// As /proc/PID/smaps has it: for each segment its size and its usage in KiB.
    [[nodiscard]] std::string smaps() const;

    /// Where `address` leads, any number at all.
    [[nodiscard]] Explanation explain(const void* address) const;

    [[nodiscard]] TableCost table_cost() const;

    /// `handler` is told of each access that no segment allows, and says what becomes of it; null: SIGSEGV. A handler
    /// of SIGSEGV that the program installs later than the space comes before it, and may pass on to it what it gets.
    void on_violation(ViolationHandler handler, void* context = nullptr);

private:
    explicit AddressSpace(std::unique_ptr<space::Space> space) noexcept;
    void reset() noexcept;

    std::unique_ptr<space::Space> space_;
};

}  // namespace faultline
