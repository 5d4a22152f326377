// ProgramMappings: mmap, munmap, mprotect, mremap and brk of a preloaded program, as far as they concern managed
// mappings. It decides which mappings are managed and serialises the calls; space::MappingWindow makes the changes.
//
// Managed: private anonymous memory that is not executable and no stack, and private copies of files that the program
// may write to. Not managed, and so counted: everything else, and what the C library and the loader map for themselves.
#pragma once

#include "core/address_range.hpp"
#include "pager/pager.hpp"
#include "preload/calls.hpp"
#include "space/mapping_window.hpp"
#include "space/window_break.hpp"
#include "sys/futex_lock.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace faultline::preload {

/// Call the functions inside the library, with the signals of kHandlerMask blocked.
class ProgramMappings {
public:
    /// Reserves the window. Without room for one, says so, and no mapping is managed. Call once, while the process has
    /// one thread.
    static void start(pager::Pager& pager);

    /// Returns true if there is a window.
    [[nodiscard]] static bool active() noexcept { return window_ != nullptr; }
    /// Returns true if the program's break is, or was, in the window.
    [[nodiscard]] static bool has_break() noexcept { return break_ != nullptr; }

    /// Returns true if this mmap call makes a mapping that should be managed, or changes the window.
    [[nodiscard]] static bool concerns_map(const Call& call) noexcept;

    /// Make the call if it concerns the window, and return its result. Otherwise return nothing: the kernel is to make
    /// the call.
    [[nodiscard]] static std::optional<long> map(const Call& call) noexcept;
    [[nodiscard]] static std::optional<long> remap(const Call& call) noexcept;

    /// Does what brk(2) does with the program's break, which is not the C library's.
    [[nodiscard]] static std::optional<long> move_break(const Call& call) noexcept;

    /// For a range in the window, of whole pages.
    [[nodiscard]] static long unmap(core::AddressRange range) noexcept;
    [[nodiscard]] static long protect(core::AddressRange range, std::uint64_t protection) noexcept;

    /// Returns the first part of a range that is managed and a private copy of a file; an empty range if no part is.
    [[nodiscard]] static core::AddressRange first_file_part(core::AddressRange range) noexcept;

    /// Brings the files' bytes back in all such parts of a range, as madvise(2) with MADV_DONTNEED does. They are the
    /// kernel's from now on. -EINVAL: pages of the range are locked.
    [[nodiscard]] static long restore_files(core::AddressRange range) noexcept;

    /// Returns the first part of a range that is one mapping, or unmapped, or not in the window.
    [[nodiscard]] static core::AddressRange first_mapping(core::AddressRange range) noexcept;

    /// Records advice of madvise(2) on children of fork for memory in the window that is not the kernel's.
    static void advise_fork(core::AddressRange range, int advice) noexcept;

    /// Hands memory in the window to the kernel, with its contents, for good. For stacks of threads: the kernel writes
    /// to them where it cannot wait for absent pages. Does nothing for other memory. Returns 0 or a negated errno.
    [[nodiscard]] static long give_to_kernel(core::AddressRange range) noexcept;

    /// Around fork, in parent and child: no other thread is inside one of these functions at the fork.
    static void before_fork() noexcept { changing_.lock(); }
    static void after_fork() noexcept { changing_.unlock(); }
    /// In a child of fork, before the program continues: unmaps what it must not have (MADV_DONTFORK), and wipes what
    /// it must not read (MADV_WIPEONFORK).
    static void start_in_child() noexcept;
    /// The same in a child whose memory is not managed any more: the kernel answers its calls from now on. The break
    /// stays where it is.
    static void start_without_pager() noexcept;

private:
    static inline constinit space::MappingWindow* window_ = nullptr;  // never destroyed
    static inline constinit space::WindowBreak* break_ = nullptr;
    static inline constinit std::atomic<bool> has_copies_{false};  // set before the first copy of a file
    static inline constinit sys::FutexLock changing_;  // held during system calls of the window and waits for pages
};

}  // namespace faultline::preload
