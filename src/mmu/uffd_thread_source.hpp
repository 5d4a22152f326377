// UffdThreadSource: handler threads that read faults from a userfaultfd. One is pinned to each CPU and blocked in
// read(): the fault then wakes a thread on its own CPU; a wake-up across CPUs costs more than the rest of the fault
// (bench/fault_latency: uffd_pinned_threads_copy beside uffd_polling_thread_copy).
//
// Nobody would see a handler fail: the threads that need it sleep in the kernel, for ever. So a watchdog looks once a
// second, and the process ends with a message when
// - a handler thread is gone: within two seconds;
// - the program has closed the userfaultfd or put another file in its place: at the next fault, and within two seconds.
//   Until then its file is kept open, since without it absent pages would read as zeros;
// - one fault has been served for longer than `kHandlerPatience`. Time in which the whole process did not run (SIGSTOP,
//   a debugger, suspend) does not count.
#pragma once

#include "mmu/fault_source.hpp"
#include "mmu/mapper.hpp"
#include "sys/descriptor_keeper.hpp"
#include "sys/mapping.hpp"
#include "sys/service_thread.hpp"
#include "sys/userfaultfd.hpp"

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace faultline::mmu {

class UffdThreadSource {
public:
    /// Longer than a disk that is busy, or whose driver repeats a command, keeps one fault waiting.
    static constexpr std::chrono::seconds kHandlerPatience{60};

    /// Starts `threads` handlers, 0 meaning one for each CPU the process may use. `uffd` and `mapper` must outlive the
    /// source. Throws std::system_error.
    UffdThreadSource(sys::Userfaultfd& uffd, Mapper& mapper, unsigned threads, Resolver resolver,
                     std::chrono::nanoseconds patience = kHandlerPatience);

    /// Stops the handlers. No managed page may be faulted on any more.
    ~UffdThreadSource();
    UffdThreadSource(const UffdThreadSource&) = delete;
    UffdThreadSource& operator=(const UffdThreadSource&) = delete;

    /// While the process forks, faults wait for as long as it takes, and that is not a handler's doing.
    static void set_patient(bool on) noexcept { patient_.store(on); }

private:
    static inline std::atomic<bool> patient_{false};

    /// What a handler lets the watchdog see of it; the watchdog times it, so that a fault costs no look at the clock.
    struct alignas(64) Handler {
        std::atomic<pid_t> thread{0};            ///< 0 before it runs and after its farewell.
        std::atomic<std::uint64_t> turn{0};      ///< Odd while a fault is served.
        std::atomic<std::uintptr_t> address{0};  ///< Of the fault that is served.
        // The watchdog's own.
        std::uint64_t seen_turn = 0;
        std::chrono::nanoseconds served{0};
    };

    /// What fstat says of a descriptor: another answer means another file.
    struct FileIdentity {
        dev_t device = 0;
        ino_t inode = 0;
        bool operator==(const FileIdentity&) const = default;
    };

    [[nodiscard]] FileIdentity uffd_identity() const noexcept;
    void start(std::chrono::nanoseconds tick);
    void serve(unsigned index) noexcept;
    void serve_until_farewell(Handler& handler) noexcept;
    void answer(const uffd_msg& message) noexcept;
    void watch_over(std::chrono::nanoseconds tick) noexcept;
    void check(Handler& handler, std::chrono::nanoseconds elapsed) noexcept;
    [[nodiscard]] bool is_farewell(std::uintptr_t address) const noexcept;
    void say_farewell() noexcept;
    void stop() noexcept;

    sys::Userfaultfd& uffd_;
    Mapper& mapper_;
    Resolver resolver_;
    std::chrono::nanoseconds patience_;
    FileIdentity identity_;
    std::optional<sys::DescriptorKeeper> keeper_;
    std::vector<Handler> progress_;  // one per handler; never resized
    // One watched page per handler. Touching one raises a fault that tells the handler which reads it to end: the only
    // way to wake a thread from a blocking read that needs no signal of the program's.
    sys::Mapping farewell_;
    std::deque<sys::ServiceThread> handlers_;
    std::atomic<std::uint32_t> stopping_{0};
    std::optional<sys::ServiceThread> watchdog_;
};

}  // namespace faultline::mmu
