#include "mmu/uffd_thread_source.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

namespace faultline::mmu {
namespace {

alignas(core::kUnitBytes) const std::byte kZeros[core::kUnitBytes] = {};

/// Pins the caller to the `index`-th CPU that the process may use. Failing costs speed only.
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

/// Kernels without poison: raise SIGBUS at the address in the thread that faulted, which is then woken to take it.
void raise_bus_error(const uffd_msg& message) noexcept {
    siginfo_t info;
    std::memset(&info, 0, sizeof info);
    info.si_signo = SIGBUS;
    info.si_code = SI_QUEUE;  // the kernel lets no thread pretend to another that it were the kernel
    info.si_addr = reinterpret_cast<void*>(message.arg.pagefault.address);
    sys::raw_syscall(SYS_rt_tgsigqueueinfo, ::getpid(), message.arg.pagefault.feat.ptid, SIGBUS,
                     sys::syscall_argument(&info));
}

}  // namespace

UffdThreadSource::UffdThreadSource(sys::Userfaultfd& uffd, Mapper& mapper, unsigned threads, Resolver resolver)
    : uffd_{uffd}, mapper_{mapper}, resolver_{resolver} {
    const unsigned count = threads == 0 ? sys::allowed_cpus() : threads;
    farewell_ = sys::Mapping::reserve(count * core::kUnitBytes, core::kUnitBytes, false, "handler threads");
    uffd_.watch(farewell_.data(), farewell_.size(), false);
    handlers_.reserve(count);
    const sys::SignalBlock inherited;  // handlers start with every signal blocked and keep it so
    try {
        for (unsigned i = 0; i < count; ++i) handlers_.emplace_back([this, i] { serve(i); });
    } catch (const std::system_error& error) {
        stop();
        sys::throw_error(error.code().value(),
                         "cannot start handler threads; see `ulimit -u`, or set "
                         "Config::handler_threads");
    }
}

UffdThreadSource::~UffdThreadSource() { stop(); }

void UffdThreadSource::stop() noexcept {
    const sys::SignalBlock
        once;  // a signal during the wait would repeat the message, and end two handlers with one page
    for (std::size_t i = 0; i < handlers_.size(); ++i) {
        static_cast<void>(*static_cast<volatile std::byte*>(farewell_.data() + i * core::kUnitBytes));
    }
    for (std::thread& handler : handlers_) handler.join();
    handlers_.clear();
}

bool UffdThreadSource::is_farewell(std::uintptr_t address) const noexcept {
    return address - core::address_of(farewell_.data()) < farewell_.size();
}

void UffdThreadSource::serve(unsigned cpu_index) noexcept {
    ::pthread_setname_np(::pthread_self(), "fl-handler");
    pin_to_cpu(cpu_index);
    for (;;) {
        uffd_msg message{};
        const int error = uffd_.read(&message);
        if (error == EINTR || error == EAGAIN) continue;
        FAULTLINE_REQUIRE(error == 0, "the userfaultfd can no longer be read: has the program closed it?");
        if (message.event != UFFD_EVENT_PAGEFAULT) continue;
        if (is_farewell(message.arg.pagefault.address)) {
            auto* const page = reinterpret_cast<void*>(
                core::align_down<std::uintptr_t>(message.arg.pagefault.address, core::kUnitBytes));
            const int ended = uffd_.copy(page, kZeros, core::kUnitBytes, false);
            FAULTLINE_REQUIRE(ended == 0, "a handler thread cannot end");
            return;
        }
        answer(message);
    }
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
        case core::FaultOutcome::access_violation:  // which the MMU itself tells the program
        case core::FaultOutcome::not_ours:  // a region that is just being destroyed: the access then gets SIGSEGV
            mapper_.wake(unit, core::kUnitBytes);
            return;
        case core::FaultOutcome::failed:
            // With poison in the page, the repeated access gets its SIGBUS from the kernel.
            if (!mapper_.can_poison()) raise_bus_error(message);
            mapper_.wake(unit, core::kUnitBytes);
            return;
    }
}

}  // namespace faultline::mmu
