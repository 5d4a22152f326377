// UffdThreadSource: handler threads that read faults from a userfaultfd and resolve them. One thread is pinned to each
// CPU and blocks in read(), so a fault wakes a thread on its own CPU. A wake-up across CPUs costs more than the rest of
// the fault (bench/fault_latency: compare uffd_pinned_threads_copy and uffd_polling_thread_copy).
//
// A failed handler would go unnoticed: the faulting threads would sleep in the kernel forever. So a watchdog checks
// once a second. It ends the process with a message when
// - a handler thread is gone: within two seconds;
// - the program has closed the userfaultfd or put another file in its place: at the next fault, and within two seconds.
//   Until then DescriptorKeeper keeps the file open; without it absent pages would read as zeros;
// - a handler has served one fault for longer than `kHandlerPatience`. Time in which the whole process did not run
//   (SIGSTOP, a debugger, suspend) does not count.
#pragma once

#include "mmu/fault_source.hpp"
#include "mmu/mappers.hpp"
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
    /// Longer than one fault waits for a disk that is busy or whose driver repeats a command.
    static constexpr std::chrono::seconds kHandlerPatience{60};

    /// Starts `threads` handler threads; 0 means one for each CPU that the process may use. `uffd` and `mappers` must
    /// outlive the source. Throws std::system_error.
    UffdThreadSource(sys::Userfaultfd& uffd, const Mappers& mappers, unsigned threads, Resolver resolver,
                     std::chrono::nanoseconds patience = kHandlerPatience);

    /// Stops the handlers. No thread may fault on a managed page any more.
    ~UffdThreadSource();
    UffdThreadSource(const UffdThreadSource&) = delete;
    UffdThreadSource& operator=(const UffdThreadSource&) = delete;

    /// While on, the watchdog does not count the time of a fault. Faults wait while the process forks, however long
    /// that takes.
    static void set_patient(bool on) noexcept { patient_.store(on); }

private:
    static inline std::atomic<bool> patient_{false};

    /// The state that a handler publishes for the watchdog. The watchdog measures the time, so a fault reads no clock.
    struct alignas(64) Handler {
        std::atomic<pid_t> thread{0};            ///< 0 before the thread runs and after it was stopped.
        std::atomic<std::uint64_t> turn{0};      ///< Odd while the handler serves a fault.
        std::atomic<std::uintptr_t> address{0};  ///< Address of the fault being served.
        // Used by the watchdog thread only.
        std::uint64_t seen_turn = 0;
        std::chrono::nanoseconds served{0};
    };

    /// Identifies an open file by the result of fstat: a different value means a different file.
    struct FileIdentity {
        dev_t device = 0;
        ino_t inode = 0;
        bool operator==(const FileIdentity&) const = default;
    };

    [[nodiscard]] FileIdentity uffd_identity() const noexcept;
    void start(std::chrono::nanoseconds tick);
    void serve(unsigned index) noexcept;
    void serve_until_stopped(Handler& handler) noexcept;
    void answer(const uffd_msg& message) noexcept;
    void watch_over(std::chrono::nanoseconds tick) noexcept;
    void check(Handler& handler, std::chrono::nanoseconds elapsed) noexcept;
    [[nodiscard]] bool is_stop_page(std::uintptr_t address) const noexcept;
    void touch_stop_pages() noexcept;
    void stop() noexcept;

    sys::Userfaultfd& uffd_;
    const Mappers& mappers_;
    Resolver resolver_;
    std::chrono::nanoseconds patience_;
    FileIdentity identity_;
    std::optional<sys::DescriptorKeeper> keeper_;
    std::vector<Handler> progress_;  // one for each handler; never resized
    // One watched page for each handler. Touching a page raises a fault that makes the handler that reads it end. No
    // other method wakes a thread from a blocking read without using one of the program's signals.
    sys::Mapping stop_pages_;
    std::deque<sys::ServiceThread> handlers_;
    std::atomic<std::uint32_t> stopping_{0};  // futex: 1 ends the watchdog
    std::optional<sys::ServiceThread> watchdog_;
};

}  // namespace faultline::mmu
