// See signal_resolver.hpp.
#include "support/signal_resolver.hpp"

#include <atomic>
#include <stdexcept>

#include "support/system_call.hpp"

namespace bench {
namespace {

constexpr std::uintptr_t kPageMask = 4095;

// Released by the constructor, acquired by handlers on any thread.
std::atomic<SignalResolver*> the_resolver{nullptr};

}  // namespace

SignalResolver::SignalResolver(int signal) : signal_{signal} {
    SignalResolver* expected = nullptr;
    if (!the_resolver.compare_exchange_strong(expected, this)) throw std::logic_error{"two SignalResolvers"};
    struct sigaction action {};
    action.sa_sigaction = &SignalResolver::handle;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    check(::sigaction(signal, &action, &previous_), "sigaction");
}

SignalResolver::~SignalResolver() {
    // Cannot fail: the signal was valid in the constructor.
    static_cast<void>(::sigaction(signal_, &previous_, nullptr));
    the_resolver.store(nullptr);
}

void SignalResolver::handle(int signal, siginfo_t* info, void*) {
    const int saved_errno = errno;
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr) & ~kPageMask;
    SignalResolver* const resolver = the_resolver.load();
    const bool resolved = resolver != nullptr && resolver->resolve(reinterpret_cast<std::byte*>(address));
    // The access is repeated on return. Without a handler it then ends the process.
    if (!resolved) ::signal(signal, SIG_DFL);
    errno = saved_errno;
}

}  // namespace bench
