// userfaultfd handler threads that copy one page and nothing else. The thread's CPU matters: on the faulting thread's
// CPU a fault costs a context switch, on another one a wake-up across CPUs.
#include <sched.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "support/bare_userfaultfd.hpp"
#include "support/latency_cases.hpp"
#include "support/mapping.hpp"
#include "support/scene.hpp"

namespace bench {
namespace {

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    check(::sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
    }
    return cpus;
}

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    check(::sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

class HandlerScene final : public Scene {
public:
    enum class Handlers : std::uint8_t { pinned_blocked, one_polling };

    HandlerScene(std::size_t pages, Handlers handlers)
        : uffd_{0, handlers == Handlers::one_polling ? BareUserfaultfd::Reading::polled
                                                     : BareUserfaultfd::Reading::blocking},
          cpus_{handlers == Handlers::one_polling ? std::vector<int>{kAnyCpu} : allowed_cpus()},
          memory_{Mapping::anonymous((pages + cpus_.size()) * kPageBytes)},
          page_{Mapping::anonymous(kPageBytes)},
          targets_{page_addresses(memory_.data(), pages, kPageBytes, Order::random)} {
        *page_.data() = std::byte{1};
        uffd_.watch(memory_.data(), memory_.size());
        for (const int cpu : cpus_) threads_.emplace_back([this, cpu] { serve(cpu); });
    }

    ~HandlerScene() override {
        // A thread that is blocked in read(2) ends after its next fault, so there is one extra page for each.
        stopping_.store(true);
        for (std::size_t i = 0; i < threads_.size(); ++i) {
            static_cast<void>(*static_cast<volatile std::byte*>(memory_.data() + (targets_.size() + i) * kPageBytes));
        }
    }

    std::span<std::byte* const> prepare() override {
        check(::madvise(memory_.data(), targets_.size() * kPageBytes, MADV_DONTNEED), "madvise(MADV_DONTNEED)");
        return targets_;
    }

private:
    static constexpr int kAnyCpu = -1;

    // A handler that fails must not leave its faulting thread waiting for ever.
    void serve(int cpu) noexcept {
        try {
            if (cpu != kAnyCpu) pin_to(cpu);
            bool stop = false;
            while (!stop) {
                std::byte* const fault = uffd_.next_fault();
                if (fault == nullptr) continue;
                // Read before the answer: a stop that is requested after it is not for this thread.
                stop = stopping_.load();
                if (!uffd_.copy(fault, page_.data(), kPageBytes)) throw_errno("UFFDIO_COPY");
            }
        } catch (const std::exception& error) {
            std::fprintf(stderr, "userfaultfd handler: %s\n", error.what());
            std::abort();
        }
    }

    BareUserfaultfd uffd_;
    std::vector<int> cpus_;
    Mapping memory_;
    Mapping page_;  // copied to every faulting page
    std::vector<std::byte*> targets_;
    std::atomic<bool> stopping_{false};
    std::vector<std::jthread> threads_;  // declared last: joined before the other fields are destroyed
};

}  // namespace

void register_bare_thread_cases(const LatencyOptions& options) {
    const std::size_t pages = options.smoke ? 64 : 1024;
    using Handlers = HandlerScene::Handlers;
    register_for_threads("bare/uffd_pinned_threads_copy", Act::write,
                         [pages] { return std::make_unique<HandlerScene>(pages, Handlers::pinned_blocked); });
    register_for_threads("bare/uffd_polling_thread_copy", Act::write,
                         [pages] { return std::make_unique<HandlerScene>(pages, Handlers::one_polling); });
}

}  // namespace bench
