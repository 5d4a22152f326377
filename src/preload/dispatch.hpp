// Dispatch: where the kernel itself cannot wait for absent pages (uffd_signal and sigsegv, which ordinary users have),
// each system call of the program comes here first, wherever in the program or the C library it is made (Syscall User
// Dispatch, Linux 5.11). What lies in managed memory is brought in and pinned while the call takes; signal masks and
// actions are kept such that faults always arrive. Does nothing where the delivery is uffd_threads.
#pragma once

namespace faultline::preload {

class Dispatch {
public:
    /// For the calling thread and all that begin later; `fault_signal` is what faults arrive by. Once, while there is
    /// one thread. Throws std::system_error: ENOSYS where the kernel has no such thing.
    static void start(int fault_signal);

    /// At the beginning of each thread of the program's, and in the child of a fork.
    static void begin_thread() noexcept;

    [[nodiscard]] static bool active() noexcept { return active_; }

private:
    static inline constinit bool active_ = false;
};

}  // namespace faultline::preload
