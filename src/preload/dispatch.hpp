// Dispatch: sends each system call of the program to the library first, wherever code makes it (Syscall User Dispatch,
// Linux 5.11). Needed if the kernel itself cannot wait for absent pages (uffd_signal and sigsegv, which ordinary users
// have).
// The library makes managed memory resident and pins it until the call returns. It keeps signal masks and actions such
// that faults always arrive. Not used if the delivery is uffd_threads, except in static programs, whose
// calls no interposed function sees. Started by start.cpp.
#pragma once

namespace faultline::preload {

class Dispatch {
public:
    /// Starts dispatch for the calling thread and for all threads that start later. `fault_signal`: the signal that
    /// reports faults; 0 if none does. Call once, while the process has one thread. Throws std::system_error: ENOSYS if
    /// the kernel has no Syscall User Dispatch.
    static void start(int fault_signal);

    /// Starts dispatch for the calling thread. Called at the start of each thread of the program, and in the child of a
    /// fork.
    static void begin_thread() noexcept;

    /// Changes the signal that reports faults, in a child of fork whose faults arrive in another way than its parent's.
    /// Throws std::system_error.
    static void change_fault_signal(int signal);

    /// In a child of fork whose memory is not managed any more, and whose calls the kernel does not dispatch yet.
    static void end() noexcept { active_ = false; }

    [[nodiscard]] static bool active() noexcept { return active_; }

    /// Returns true if the kernel fails a call on an absent page, so that the library must bring the page in first.
    [[nodiscard]] static bool calls_need_resident_memory() noexcept;

private:
    static inline constinit bool active_ = false;
};

}  // namespace faultline::preload
