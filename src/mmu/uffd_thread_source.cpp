#include "mmu/uffd_thread_source.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "core/zero_unit.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace faultline::mmu {
namespace {

constexpr std::chrono::nanoseconds kLongestTick = std::chrono::seconds{1};
constexpr const char* kHandlerGone = "a handler thread has ended: has the program killed it?";

/// Pins the caller to the `index`-th CPU that the process may use. A failure costs only speed.
void pin_to_cpu(unsigned index) noexcept {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    const int count = CPU_COUNT(&allowed);
    if (count == 0) return;
    int wanted = static_cast<int>(index) % count;
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed) || wanted-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
        return;
    }
}

/// Raises SIGBUS at the fault's address in the faulting thread, which is then woken to receive it. For kernels without
/// poison.
void raise_bus_error(const uffd_msg& message) noexcept {
    siginfo_t info;
    std::memset(&info, 0, sizeof info);
    info.si_signo = SIGBUS;
    info.si_code = SI_QUEUE;  // the kernel lets no thread send another a signal that looks like the kernel's own
    info.si_addr = reinterpret_cast<void*>(message.arg.pagefault.address);
    sys::raw_syscall(SYS_rt_tgsigqueueinfo, ::getpid(), message.arg.pagefault.feat.ptid, SIGBUS,
                     sys::syscall_argument(&info));
}

/// Ends the process if a handler thread leaves the scope before it has read its stop page.
class AliveUntilStopped {
public:
    explicit AliveUntilStopped(const std::atomic<pid_t>& thread) noexcept : thread_{thread} {}
    ~AliveUntilStopped() { FAULTLINE_REQUIRE(thread_.load(std::memory_order_relaxed) == 0, kHandlerGone); }
    AliveUntilStopped(const AliveUntilStopped&) = delete;
    AliveUntilStopped& operator=(const AliveUntilStopped&) = delete;

private:
    const std::atomic<pid_t>& thread_;
};

}  // namespace

UffdThreadSource::UffdThreadSource(sys::Userfaultfd& uffd, const Mappers& mappers, unsigned threads, Resolver resolver,
                                   std::chrono::nanoseconds patience)
    : uffd_{uffd},
      mappers_{mappers},
      resolver_{resolver},
      patience_{patience},
      identity_{uffd_identity()},
      progress_(threads == 0 ? sys::allowed_cpus() : threads) {
    stop_pages_ =
        sys::Mapping::reserve(progress_.size() * core::kUnitBytes, core::kUnitBytes, false, "handler threads");
    uffd_.watch(stop_pages_.data(), stop_pages_.size(), false);
    // Inaccessible until then: an mlockall of the program touches accessible pages.
    if (const int error = sys::set_access(stop_pages_.data(), stop_pages_.size(), Access::none)) {
        sys::throw_error(error, "cannot protect the pages that end the handler threads (mprotect)");
    }
    try {
        start(std::min<std::chrono::nanoseconds>(kLongestTick, patience / 4));
    } catch (...) {
        stop();
        throw;
    }
}

UffdThreadSource::~UffdThreadSource() { stop(); }

void UffdThreadSource::start(std::chrono::nanoseconds tick) {
    keeper_.emplace(uffd_.fd());
    uffd_.set_stand_in(&*keeper_);
    watchdog_.emplace("fl-watchdog", "see `ulimit -u`", [this, tick] { watch_over(tick); });
    for (unsigned i = 0; i < progress_.size(); ++i) {
        handlers_.emplace_back("fl-handler", "see `ulimit -u`, or set Config::handler_threads",
                               [this, i] { serve(i); });
    }
}

void UffdThreadSource::touch_stop_pages() noexcept {
    // A signal that arrives during the wait repeats the message. So does work that the kernel does meanwhile (io_uring,
    // for example), which cannot be blocked. So a handler ends when it maps the page, not when it reads the message.
    const sys::SignalBlock signals;
    const int opened = sys::set_access(stop_pages_.data(), stop_pages_.size(), Access::read_write);
    FAULTLINE_REQUIRE(opened == 0, "cannot make the pages accessible that end the handler threads (mprotect)");
    for (std::size_t i = 0; i < handlers_.size(); ++i) {
        static_cast<void>(*static_cast<volatile std::byte*>(stop_pages_.data() + i * core::kUnitBytes));
    }
}

void UffdThreadSource::stop() noexcept {
    touch_stop_pages();
    handlers_.clear();  // joins them with signals unblocked: see SignalBlock
    if (watchdog_) {    // only now: a handler may die before it has read its stop page
        stopping_.store(1);
        sys::futex_wake(stopping_);
        watchdog_.reset();
    }
    uffd_.set_stand_in(nullptr);
    keeper_.reset();
}

bool UffdThreadSource::is_stop_page(std::uintptr_t address) const noexcept {
    return address - core::address_of(stop_pages_.data()) < stop_pages_.size();
}

void UffdThreadSource::serve(unsigned index) noexcept {
    pin_to_cpu(index);
    Handler& handler = progress_[index];
    handler.thread.store(static_cast<pid_t>(sys::raw_syscall(SYS_gettid)), std::memory_order_relaxed);
    const AliveUntilStopped alive{handler.thread};
    serve_until_stopped(handler);
    handler.thread.store(0, std::memory_order_relaxed);
}

void UffdThreadSource::serve_until_stopped(Handler& handler) noexcept {
    std::uint64_t turn = 0;
    for (;;) {
        uffd_msg message{};
        sys::TransientWait wait{"read of the userfaultfd"};
        int error = 0;
        do {
            error = uffd_.read(&message);
        } while (wait.again(error));
        FAULTLINE_REQUIRE(error == 0, "the userfaultfd can no longer be read: has the program closed it?");
        FAULTLINE_REQUIRE(
            message.event == UFFD_EVENT_PAGEFAULT,
            "the userfaultfd returned an event that is no page fault: has the program put another file there?");
        if (is_stop_page(message.arg.pagefault.address)) {
            auto* const page = reinterpret_cast<void*>(
                core::align_down<std::uintptr_t>(message.arg.pagefault.address, core::kUnitBytes));
            sys::TransientWait for_room{"UFFDIO_COPY"};
            int ended = 0;
            do {
                ended = uffd_.copy(page, core::kZeroUnit, core::kUnitBytes, false);
            } while (for_room.again(ended));
            if (ended == EEXIST) continue;  // a repeated message; another handler has already ended with it
            FAULTLINE_REQUIRE(ended == 0, "a handler thread cannot end: has the program closed the userfaultfd?");
            return;
        }
        handler.address.store(message.arg.pagefault.address, std::memory_order_relaxed);
        handler.turn.store(++turn, std::memory_order_release);
        answer(message);
        handler.turn.store(++turn, std::memory_order_relaxed);
    }
}

UffdThreadSource::FileIdentity UffdThreadSource::uffd_identity() const noexcept {
    struct stat found {};
    if (::fstat(uffd_.fd(), &found) != 0) return {};
    return {found.st_dev, found.st_ino};
}

void UffdThreadSource::watch_over(std::chrono::nanoseconds tick) noexcept {
    auto before = std::chrono::steady_clock::now();
    for (;;) {
        sys::futex_wait(stopping_, 0, &tick);
        if (stopping_.load() != 0) return;
        const auto now = std::chrono::steady_clock::now();
        // If the watchdog itself was late, the process was stopped, and no handler could serve a fault.
        const auto elapsed = std::min<std::chrono::nanoseconds>(now - before, 2 * tick);
        before = now;
        FAULTLINE_REQUIRE(uffd_identity() == identity_,
                          "the descriptor of the userfaultfd names another file or none: has the program closed it?");
        for (Handler& handler : progress_) check(handler, elapsed);
    }
}

void UffdThreadSource::check(Handler& handler, std::chrono::nanoseconds elapsed) noexcept {
    const pid_t thread = handler.thread.load(std::memory_order_relaxed);
    const bool gone = thread != 0 && sys::error_of(sys::raw_syscall(SYS_tgkill, ::getpid(), thread, 0)) == ESRCH;
    // A handler clears `thread` before it ends, and the kernel may report it gone only later: read `thread` again.
    FAULTLINE_REQUIRE(!gone || handler.thread.load(std::memory_order_relaxed) == 0, kHandlerGone);
    const std::uint64_t turn = handler.turn.load(std::memory_order_acquire);
    if (turn % 2 == 0 || turn != handler.seen_turn || patient_.load()) {
        handler.seen_turn = turn;
        handler.served = {};
        return;
    }
    handler.served += elapsed;
    if (handler.served < patience_) return;
    std::array<char, 160> message{};
    std::snprintf(message.data(), message.size(),
                  "a handler thread has served the fault at %#zx for %.1f s and is given up: is a disk stuck?",
                  static_cast<std::size_t>(handler.address.load(std::memory_order_relaxed)),
                  std::chrono::duration<double>{handler.served}.count());
    core::fatal(message.data(), __FILE__, __LINE__);
}

void UffdThreadSource::answer(const uffd_msg& message) noexcept {
    const std::uint64_t flags = message.arg.pagefault.flags;
    const bool write = (flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)) != 0;
    const core::PageFault fault{message.arg.pagefault.address,
                                write ? core::FaultAccess::write : core::FaultAccess::read,
                                core::FaultOrigin::handler_thread, message.arg.pagefault.feat.ptid};
    auto* const unit = reinterpret_cast<void*>(core::align_down<std::uintptr_t>(fault.address, core::kUnitBytes));
    switch (resolver_(fault)) {
        case core::FaultOutcome::resolved:
        case core::FaultOutcome::deferred:
            return;
        case core::FaultOutcome::already_resolved:
        case core::FaultOutcome::access_violation:  // the MMU itself raises SIGSEGV when the access is repeated
        case core::FaultOutcome::not_ours:          // the region is being destroyed: the repeated access gets SIGSEGV
            FAULTLINE_REQUIRE(!mappers_.is_staging(fault.address),
                              "a fault in faultline's staging area: has the program called mlockall(MCL_CURRENT)? Add "
                              "MCL_ONFAULT to it");
            uffd_.wake(unit, core::kUnitBytes);
            return;
        case core::FaultOutcome::failed:
            // If the page is poisoned, the repeated access gets its SIGBUS from the kernel.
            if (!mappers_.can_poison()) raise_bus_error(message);
            uffd_.wake(unit, core::kUnitBytes);
            return;
    }
}

}  // namespace faultline::mmu
