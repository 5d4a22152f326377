// One userfaultfd: opening it, and its ioctls with their partial results finished. It knows nothing of pages' states.
// Every range call returns 0 or an errno and is signal-safe.
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
        by_message,  ///< Faults, the kernel's own included, are read from the descriptor. Needs privilege.
        by_sigbus,   ///< The faulting thread gets SIGBUS. Needs nothing.
    };

    /// What a child of fork will want: a userfaultfd of its own, which it may need a privilege for that the process
    /// has given up by then.
    enum class InChildren : std::uint8_t { not_used, opened_again };

    /// Throws std::system_error: EPERM (say how to get it), ENOSYS (not in this kernel), EMFILE.
    explicit Userfaultfd(Notify notify, InChildren in_children = InChildren::not_used);

    /// In a child of fork: opens a userfaultfd of the child, with the same features, in place of the parent's. Throws
    /// as the constructor; EPERM when the process has lost its privilege and there was no /dev/userfaultfd to keep
    /// open.
    void open_again_in_child();

    /// Bits of UFFD_FEATURE_* that this kernel has, for whoever explains a machine. Throws as the constructor.
    [[nodiscard]] static std::uint64_t offered_features();

    /// Has the keeper of this descriptor make the calls that the kernel refuses the calling thread: the program closed
    /// the descriptor, or put a seccomp filter on the thread. Null: no one does. The keeper lives until the next call,
    /// during which no other thread uses the descriptor.
    void set_stand_in(DescriptorKeeper* keeper) noexcept { stand_in_ = keeper; }

    [[nodiscard]] Notify notify() const noexcept { return notify_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] bool has(std::uint64_t feature) const noexcept { return (features_ & feature) != 0; }

    /// Watches for missing pages and, where `write_protect`, for writes to protected ones. Throws std::system_error.
    void watch(void* address, std::size_t bytes, bool write_protect);

    /// Watches a mapping of a memory file: for pages that the file has, too, but that are not shown. Throws
    /// std::system_error.
    void watch_file(void* address, std::size_t bytes);

    /// Shows what the memory file behind a range watched so has. EEXIST: a page is shown already. `*shown` says how
    /// many bytes are done before an error.
    [[nodiscard]] int show(void* address, std::size_t bytes, bool write_protected,
                           std::size_t* shown) const FAULTLINE_SIGNAL_SAFE;

    /// Maps copies of `bytes` bytes from `source` at `destination`, where nothing is mapped, each 4 KiB at once. The
    /// range may have parts of different protection. ENOMEM; EEXIST: something is mapped. On error a part may be done.
    /// With `Wake::later` who sleeps for a page sleeps on, until something else is done to it.
    enum class Wake : std::uint8_t { now, later };
    [[nodiscard]] int copy(void* destination, const void* source, std::size_t bytes, bool write_protected,
                           Wake wake = Wake::now) const FAULTLINE_SIGNAL_SAFE;

    /// Moves the frames at `source` to `destination`, where nothing is mapped; they arrive writable. EBUSY: the kernel
    /// or another process holds a page (nothing of that page has moved). EINVAL: the mappings differ in protection.
    /// EEXIST: a page is mapped at the destination and another one at the source. `*moved` says how many bytes went
    /// over before an error, also where the kernel reports an error for pages that it has moved (Linux 6.18).
    [[nodiscard]] int move(void* destination, void* source, std::size_t bytes,
                           std::size_t* moved) const FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] int write_protect(void* address, std::size_t bytes, bool on) const FAULTLINE_SIGNAL_SAFE;

    /// Makes accesses raise SIGBUS until the range is dropped. EINVAL before Linux 6.6; EEXIST where a page is mapped.
    [[nodiscard]] int poison(void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Wakes whoever sleeps in the kernel for a page of the range.
    void wake(void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Waits for one message. Returns 0, or the errno.
    [[nodiscard]] int read(uffd_msg* message) const FAULTLINE_SIGNAL_SAFE;

private:
    /// ioctl(2) on the descriptor, with no difference which thread may make it. Returns 0 or an errno.
    [[nodiscard]] int control(unsigned long request, void* argument) const FAULTLINE_SIGNAL_SAFE;

    void watch_for(void* address, std::size_t bytes, std::uint64_t mode);

    Notify notify_;
    FileDescriptor device_;  // /dev/userfaultfd, kept open for children
    FileDescriptor fd_;
    std::uint64_t features_ = 0;
    DescriptorKeeper* stand_in_ = nullptr;
};

}  // namespace faultline::sys
