// Owns one anonymous mapping. Not for files, and not for managed memory's policy: it maps and unmaps.
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

    /// Maps `bytes` of zeros, private, not reserved (MAP_NORESERVE), aligned to `alignment` (a power of two of at least
    /// 4 KiB), without huge pages, not merged with alike pages, and left out of core dumps. With `shared_with_children`
    /// false, fork leaves it out (MADV_DONTFORK). The program's mlockall does not fill it: an earlier one (MCL_FUTURE)
    /// does not lock it, and a later one stops at its fence, where the kernel has guard markers (Linux 6.13). Throws
    /// std::system_error (ENOMEM); `purpose` names it in the message.
    static Mapping reserve(std::size_t bytes, std::size_t alignment, bool shared_with_children, const char* purpose);

    /// The same without access, for memory that fork leaves out; `set_part_access` opens parts. It counts against
    /// RLIMIT_AS, but not against what the machine may promise (vm.overcommit_memory=2) before it is opened.
    static Mapping reserve_closed(std::size_t bytes, std::size_t alignment, const char* purpose);

    /// The same at a given address, a multiple of 4 KiB, without a fence, for memory that fork leaves out. Throws
    /// std::system_error: EEXIST where something is mapped in the range, else as above.
    static Mapping reserve_at(std::uintptr_t address, std::size_t bytes, const char* purpose);

    Mapping(Mapping&& other) noexcept
        : address_{std::exchange(other.address_, nullptr)},
          bytes_{std::exchange(other.bytes_, 0)},
          fence_bytes_{std::exchange(other.fence_bytes_, 0)} {}
    Mapping& operator=(Mapping&& other) noexcept {
        if (this != &other) {
            reset();
            address_ = std::exchange(other.address_, nullptr);
            bytes_ = std::exchange(other.bytes_, 0);
            fence_bytes_ = std::exchange(other.fence_bytes_, 0);
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

    /// The page in front of a large range that no access passes (MADV_GUARD_INSTALL); empty where there is none. The
    /// kernel fills what mlockall(MCL_CURRENT) locks from the front, mapping by mapping, and leaves a mapping at the
    /// first page that it cannot have. So whatever makes the range a mapping of its own kind is done to the fence, too.
    [[nodiscard]] std::span<std::byte> fence() const noexcept { return {address_ - fence_bytes_, fence_bytes_}; }

    /// For a range that something else is mapped over, which the fence would not be part of.
    void drop_fence() noexcept;

    void reset() noexcept;

    /// A child of fork gets the range with zeros in it (MADV_WIPEONFORK, Linux 4.14), instead of copies of all its
    /// pages. Throws std::system_error.
    void wipe_in_children() const;

    /// Makes a part accessible or not, signal-safe. Returns 0 or an errno: ENOMEM when there are too many mappings.
    [[nodiscard]] int set_part_access(std::size_t offset, std::size_t bytes, Access access) const FAULTLINE_SIGNAL_SAFE;

    /// Gives the memory of a part back to the kernel, signal-safe: it is zeros afterwards. False: the program has
    /// locked it (mlockall), and this kernel (before 5.18) takes no locked memory away; nothing has changed.
    bool give_part_back(std::size_t offset, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// In a child of fork that the range was left out of: keeps it from being given to somebody else, whose bytes would
    /// be taken for the parent's. Accesses raise SIGSEGV. Does nothing when somebody has been faster.
    void close_in_child() noexcept;

    /// In a child of fork that the range was left out of: maps it again, as zeros, with `access`. Throws
    /// std::system_error (EEXIST when something else is mapped there, ENOMEM).
    void restore_in_child(Access access = Access::read_write);

    /// Lets go without unmapping: the caller knows the range is not mapped in this process any more.
    void abandon() noexcept {
        address_ = nullptr;
        bytes_ = 0;
        fence_bytes_ = 0;
    }

private:
    Mapping(std::byte* address, std::size_t bytes) noexcept : address_{address}, bytes_{bytes} {}

    static Mapping map_closed(std::size_t bytes, std::size_t alignment, const char* purpose);
    void open(const char* purpose) const;
    void put_fence() noexcept;
    [[nodiscard]] std::span<std::byte> with_fence() const noexcept {
        return {address_ - fence_bytes_, bytes_ + fence_bytes_};
    }

    std::byte* address_ = nullptr;
    std::size_t bytes_ = 0;
    std::size_t fence_bytes_ = 0;
    bool closed_in_child_ = false;
};

/// mprotect(2). Returns 0 or an errno.
[[nodiscard]] int set_access(void* address, std::size_t bytes, Access access) noexcept;

/// Whether a core dump has a range, which changes nothing else: a range that differs so from what is beside it is
/// mappings of its own. Returns 0 or an errno: ENOMEM when there are too many mappings (then a part may have changed).
[[nodiscard]] int set_dumped(void* address, std::size_t bytes, bool dumped) noexcept;

/// madvise(2); waits out what passes by itself, except ENOMEM. Returns 0 or an errno. Signal-safe.
[[nodiscard]] int advise(void* address, std::size_t bytes, int advice) FAULTLINE_SIGNAL_SAFE;

/// Ends the lock that the program's mlockall has put on a range of empty memory without access: with it, the kernel
/// would fill the range as soon as it is opened. Signal-safe.
void end_lock(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// Forgets what is mapped in a range, also where the program has locked it (mlockall). Ends the process where the range
/// is not mapped any more. Signal-safe.
void drop_pages(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// Whether the kernel has a page everywhere in a range of at most 2 MiB, of private anonymous memory (mincore(2)); and
/// whether it has none anywhere. Both are false where the kernel does not say. Signal-safe.
[[nodiscard]] bool all_present(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
[[nodiscard]] bool all_absent(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

/// Bytes of physical memory in the machine.
[[nodiscard]] std::size_t physical_memory() noexcept;

}  // namespace faultline::sys
