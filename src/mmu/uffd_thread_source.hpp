// UffdThreadSource: handler threads that read faults from a userfaultfd. One is pinned to each CPU and blocked in
// read(): the fault then wakes a thread on its own CPU; a wake-up across CPUs costs more than the rest of the fault
// (bench/fault_latency: uffd_pinned_threads_copy beside uffd_polling_thread_copy).
#pragma once

#include "mmu/fault_source.hpp"
#include "mmu/mapper.hpp"
#include "sys/mapping.hpp"
#include "sys/userfaultfd.hpp"

#include <thread>
#include <vector>

namespace faultline::mmu {

class UffdThreadSource {
public:
    /// Starts `threads` handlers, 0 meaning one for each CPU the process may use. `uffd` and `mapper` must outlive the
    /// source. Throws std::system_error.
    UffdThreadSource(sys::Userfaultfd& uffd, Mapper& mapper, unsigned threads, Resolver resolver);

    /// Stops the handlers. No managed page may be faulted on any more.
    ~UffdThreadSource();
    UffdThreadSource(const UffdThreadSource&) = delete;
    UffdThreadSource& operator=(const UffdThreadSource&) = delete;

private:
    void serve(unsigned cpu_index) noexcept;
    void answer(const uffd_msg& message) noexcept;
    [[nodiscard]] bool is_farewell(std::uintptr_t address) const noexcept;
    void stop() noexcept;

    sys::Userfaultfd& uffd_;
    Mapper& mapper_;
    Resolver resolver_;
    // One watched page per handler. Touching one raises a fault that tells the handler which reads it to end: the only
    // way to wake a thread from a blocking read that needs no signal of the program's.
    sys::Mapping farewell_;
    std::vector<std::thread> handlers_;
};

}  // namespace faultline::mmu
