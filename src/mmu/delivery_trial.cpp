#include "mmu/delivery_trial.hpp"

#include "core/units.hpp"
#include "mmu/file_mappings.hpp"
#include "mmu/page_dropper.hpp"
#include "mmu/protect_mapper.hpp"
#include "mmu/uffd_mapper.hpp"
#include "sys/error.hpp"
#include "sys/mapping.hpp"
#include "sys/service_thread.hpp"
#include "sys/syscall.hpp"
#include "sys/userfaultfd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace faultline::mmu {
namespace {

constexpr std::size_t kPage = core::kUnitBytes;

/// A page full of `value`.
struct alignas(kPage) PageOf {
    explicit PageOf(std::byte value) noexcept { bytes.fill(value); }
    std::array<std::byte, kPage> bytes{};
};

/// Makes the kernel read memory, as a system call of the program would.
class ReadingKernel {
public:
    ReadingKernel() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) sys::throw_error(errno, "cannot make a pipe; see `ulimit -n`");
        reading_ = sys::FileDescriptor{ends[0]};
        writing_ = sys::FileDescriptor{ends[1]};
        if (!reading_ || !writing_) sys::throw_error(EMFILE, "cannot make a pipe; see `ulimit -n`");
    }

    /// Returns the byte at `address`, or a negated errno.
    [[nodiscard]] int byte_at(const std::byte* address) const {
        const long result = sys::raw_syscall(SYS_write, writing_.get(), sys::syscall_argument(address), 1);
        if (result != 1) return static_cast<int>(result);
        unsigned char byte = 0;
        return ::read(reading_.get(), &byte, 1) == 1 ? byte : -EIO;
    }

private:
    sys::FileDescriptor reading_;
    sys::FileDescriptor writing_;
};

void expect(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(what);
}

sys::Mapping trial_pages(std::size_t count) {
    return sys::Mapping::reserve(count * kPage, kPage, false, "trial pages");
}

/// Returns the id of the process that traces this one, as /proc names it; 0 if there is none or /proc does not tell.
long tracer() {
    std::ifstream status{"/proc/self/status"};
    for (std::string word; status >> word;) {
        long process = 0;
        if (word == "TracerPid:" && status >> process) return process;
    }
    return 0;
}

/// Tests that a thread which reads the descriptor gets the kernel's own access to an absent page. It would get a
/// tracer's accesses, too: strace reads the arguments of a system call, and would wait for a thread that waits for
/// strace.
void try_threads() {
    if (const long process = tracer()) {
        throw std::runtime_error(
            "process " + std::to_string(process) +
            " traces this one: if it reads an absent page, it waits for threads that it has stopped");
    }
    sys::Userfaultfd uffd{sys::Userfaultfd::Notify::by_message};
    const PageDropper dropper;
    UffdMapper mapper{uffd, dropper, false};
    const sys::Mapping pages = trial_pages(1);
    mapper.watch_region(pages.data(), pages.size());
    const PageOf content{std::byte{7}};
    const ReadingKernel kernel;
    int error = 0;
    const auto answer = [&] {
        uffd_msg message{};
        do {
            error = uffd.read(&message);
        } while (error == EINTR || error == EAGAIN);
        if (error == 0) error = mapper.install(pages.data(), &content, kPage, Protection::write_protected);
    };
    sys::ServiceThread handler{"fl-trial", "see `ulimit -u`", answer};
    const int seen = kernel.byte_at(pages.data());
    handler.join();
    expect(error == 0 && seen == 7, "a handler thread cannot serve a system call on an absent page");
}

/// Tests that the kernel's own access to an absent page fails at once, as it does in userfaultfd's signal mode.
void try_signal() {
    sys::Userfaultfd uffd{sys::Userfaultfd::Notify::by_sigbus};
    const PageDropper dropper;
    UffdMapper mapper{uffd, dropper, false};
    const sys::Mapping pages = trial_pages(1);
    mapper.watch_region(pages.data(), pages.size());
    const ReadingKernel kernel;
    expect(kernel.byte_at(pages.data()) == -EFAULT, "an absent page does not fault");
    const PageOf content{std::byte{7}};
    expect(mapper.install(pages.data(), &content, kPage, Protection::write_protected) == 0,
           "a page cannot be installed");
    expect(kernel.byte_at(pages.data()) == 7, "an installed page cannot be read");
}

void try_protection() {
    FileMappings file{Eviction::automatic};
    ProtectMapper mapper{file};
    const sys::Mapping pages = trial_pages(1);
    mapper.watch_region(pages.data(), pages.size());
    const PageOf content{std::byte{7}};
    const ReadingKernel kernel;
    const bool closed = kernel.byte_at(pages.data()) == -EFAULT;
    const bool installed = mapper.install(pages.data(), &content, kPage, Protection::write_protected) == 0;
    const bool open = kernel.byte_at(pages.data()) == 7;
    mapper.empty_region(pages.data(), pages.size());
    mapper.unwatch_region(pages.data());
    expect(closed && installed && open, "changing the protection of a page has no effect");
}

bool serves(Delivery delivery, Eviction eviction) noexcept {
    switch (eviction) {
        case Eviction::move:
        case Eviction::copy:
            return delivery != Delivery::sigsegv;
        case Eviction::protect:
        case Eviction::guard:
            return delivery == Delivery::sigsegv;
        case Eviction::automatic:
            break;
    }
    return true;
}

constexpr std::array kMostTransparentFirst{Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv};

}  // namespace

std::string try_delivery(Delivery delivery) {
    try {
        switch (delivery) {
            case Delivery::uffd_threads:
                try_threads();
                break;
            case Delivery::uffd_signal:
                try_signal();
                break;
            case Delivery::sigsegv:
                try_protection();
                break;
            case Delivery::automatic:
                break;
        }
        return {};
    } catch (const std::exception& refusal) {
        return refusal.what();
    }
}

ChosenDelivery choose_delivery(Delivery wanted, Eviction eviction) {
    if (wanted != Delivery::automatic) return {wanted, "as configured"};
    const char* const variable = std::getenv("FAULTLINE_DELIVERY");  // NOLINT(concurrency-mt-unsafe): never set here
    if (variable != nullptr && *variable != '\0') {
        const std::optional<Delivery> named = parse<Delivery>(variable);
        if (!named) {
            std::string possible;
            for (const char* const name : names<Delivery>()) {
                possible += (possible.empty() ? "" : ", ") + std::string(name);
            }
            sys::throw_error(EINVAL,
                             std::string("FAULTLINE_DELIVERY is \"") + variable + "\"; expected one of " + possible);
        }
        if (*named != Delivery::automatic) return {*named, "as FAULTLINE_DELIVERY says"};
    }
    std::string refused;
    for (const Delivery delivery : kMostTransparentFirst) {
        const std::string obstacle =
            serves(delivery, eviction) ? try_delivery(delivery) : std::string("cannot evict by ") + to_string(eviction);
        if (obstacle.empty()) {
            return {delivery,
                    refused.empty() ? "the most transparent one, and it works here" : "chosen, since" + refused};
        }
        refused += std::string(refused.empty() ? " " : "; ") + "not " + to_string(delivery) + ": " + obstacle;
    }
    sys::throw_error(EOPNOTSUPP, "no fault delivery works in this process:" + refused);
}

}  // namespace faultline::mmu
