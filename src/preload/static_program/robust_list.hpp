// RobustList: the list of robust mutexes that a thread of a static program has registered with the kernel. The thread
// ends through this library's C library after other threads may have freed the list's memory. So the list is handled
// before, as the kernel would at the end of the thread: mutexes that the thread still holds are marked, and a waiter is
// woken.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline::preload {

class RobustList {
public:
    /// Remembers the calling thread's list, which is that of this library's C library.
    RobustList() noexcept;

    /// Handles the list that the program has registered since, and registers the remembered one again. Mutexes with
    /// priority inheritance are left to the kernel.
    void give_up() const noexcept;

private:
    std::uint64_t head_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace faultline::preload
