// Userfaultfd: one userfaultfd and its ioctls, which it repeats until partial results are complete. It knows nothing
// about page states. UffdMapper and UffdThreadSource use it. Every range call returns 0 or an errno and is signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/descriptor_keeper.hpp"
#include "sys/file_descriptor.hpp"

#include <linux/userfaultfd.h>

#include <cstddef>
#include <cstdint>

namespace faultline::sys {

class Userfaultfd {
public:
    enum class Notify : std::uint8_t {
        by_message,  ///< Faults are read from the descriptor, including those of the kernel itself. Needs privilege.
        by_sigbus,   ///< The faulting thread gets SIGBUS. Needs no privilege.
    };

    /// Says whether children of fork will open a userfaultfd of their own. That may need a privilege that the process
    /// has dropped by then, so the constructor keeps /dev/userfaultfd open.
    enum class InChildren : std::uint8_t { not_used, opened_again };

    /// Throws std::system_error: EPERM (the message says how to get the privilege), ENOSYS (not in this kernel),
    /// EMFILE.
    explicit Userfaultfd(Notify notify, InChildren in_children = InChildren::not_used);

    /// Replaces the parent's userfaultfd by a new one with the same features. Call in a child of fork. Throws like the
    /// constructor: EPERM if the process has lost its privilege and could not keep /dev/userfaultfd open.
    void open_again_in_child();

    /// Returns the UFFD_FEATURE_* bits of this kernel, for diagnostics. Throws like the constructor.
    [[nodiscard]] static std::uint64_t offered_features();

    /// Lets `keeper` make the calls that the kernel refuses to the calling thread, because the program closed the
    /// descriptor or put a seccomp filter on the thread. Null: no stand-in. The keeper must live until the next
    /// set_stand_in, during which no other thread uses the descriptor.
    void set_stand_in(DescriptorKeeper* keeper) noexcept { stand_in_ = keeper; }

    [[nodiscard]] Notify notify() const noexcept { return notify_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] bool has(std::uint64_t feature) const noexcept { return (features_ & feature) != 0; }

    /// Watches a range for missing pages and, if `write_protect`, for writes to protected ones. Throws
    /// std::system_error.
    void watch(void* address, std::size_t bytes, bool write_protect);

    /// Watches a mapping of a memory file for every page that is not mapped, whether the file has it or not. Throws
    /// std::system_error.
    void watch_file(void* address, std::size_t bytes);

    /// Maps the pages of the memory file in a range that watch_file watches. EEXIST: a page is mapped already.
    /// `*mapped` returns how many bytes were mapped, also after an error.
    [[nodiscard]] int map_file_pages(void* address, std::size_t bytes, bool write_protected,
                                     std::size_t* mapped) const FAULTLINE_SIGNAL_SAFE;

    /// Maps copies of `bytes` bytes from `source` at `destination`, where nothing is mapped. Each 4 KiB unit appears at
    /// once. The range may have parts of different protection. ENOMEM; EEXIST: something is mapped. On error a part may
    /// be mapped. `Wake::later` does not wake threads that sleep on a page: the next call on the page does.
    enum class Wake : std::uint8_t { now, later };
    [[nodiscard]] int copy(void* destination, const void* source, std::size_t bytes, bool write_protected,
                           Wake wake = Wake::now) const FAULTLINE_SIGNAL_SAFE;

    /// Moves the frames at `source` to `destination`, where nothing is mapped. They arrive writable. EBUSY: the kernel
    /// or another process holds a page (nothing of that page has moved). EINVAL: the mappings differ in protection.
    /// EEXIST: one page is mapped at the destination and another at the source. `*moved` returns how many bytes were
    /// moved before an error. It includes pages for which the kernel reports an error although it moved them (Linux
    /// 6.18).
    [[nodiscard]] int move(void* destination, void* source, std::size_t bytes,
                           std::size_t* moved) const FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] int write_protect(void* address, std::size_t bytes, bool on) const FAULTLINE_SIGNAL_SAFE;

    /// Makes accesses raise SIGBUS until the range is dropped. EINVAL before Linux 6.6; EEXIST where a page is mapped.
    [[nodiscard]] int poison(void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Wakes all threads that sleep in the kernel on a page of the range.
    void wake(void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Waits for one message. Returns 0 or an errno.
    [[nodiscard]] int read(uffd_msg* message) const FAULTLINE_SIGNAL_SAFE;

private:
    /// Makes ioctl(2) on the descriptor, in the stand-in's thread if the kernel refuses it here. Returns 0 or an errno.
    [[nodiscard]] int control(unsigned long request, void* argument) const FAULTLINE_SIGNAL_SAFE;

    void watch_for(void* address, std::size_t bytes, std::uint64_t mode);

    Notify notify_;
    FileDescriptor device_;  // /dev/userfaultfd, kept open for children
    FileDescriptor fd_;
    std::uint64_t features_ = 0;
    DescriptorKeeper* stand_in_ = nullptr;
};

}  // namespace faultline::sys
