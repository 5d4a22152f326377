// Traps 12 and 13: the stack that a fault is resolved on, in signal delivery. A thread whose stack is the smallest, or
// nearly exhausted, or itself in managed memory resolves its faults on an AlternateStack. A program keeps its own
// alternate stack.

#include "support/sanitizers.hpp"
#include "traps/trap_support.hpp"

#include <faultline/alternate_stack.hpp>

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <optional>
#include <system_error>

namespace faultline::test {
namespace {

Config tight_config() {
    Config config;
    config.delivery = Delivery::uffd_signal;
    config.resident_limit = 12 * kBasePageBytes;
    config.background_evictor = false;  // the faulting thread evicts and writes back: the deepest call chain
    return config;
}

constexpr std::size_t kTouchedPages = 40;

/// Runs `body` on a new thread with a stack of `bytes`, and joins it.
void run_on_stack_of(std::size_t bytes, const std::function<void()>& body) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
    pthread_t thread{};
    const auto start = [](void* argument) -> void* {
        (*static_cast<const std::function<void()>*>(argument))();
        return nullptr;
    };
    auto* const argument = const_cast<std::function<void()>*>(&body);
    ASSERT_EQ(pthread_create(&thread, &attributes, start, argument), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

class Trap13 : public TrapTest {};

TEST_F(Trap13, ThreadWithTheSmallestStackResolvesItsFaults) {
    Pager pager{tight_config()};
    Region region = pager.reserve(kTouchedPages * kBasePageBytes);
    fill_with_units(region);
    std::size_t wrong = 1;
    const std::size_t smallest = static_cast<std::size_t>(PTHREAD_STACK_MIN) + (kSanitized ? 65536 : 0);
    run_on_stack_of(smallest, [&] {
        const AlternateStack alternate;
        wrong = 0;
        for (int round = 0; round < 20; ++round) {
            for (std::uint64_t unit = 0; unit < kTouchedPages; ++unit) {
                wrong += wrong_words(region, unit);
                write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
            }
        }
    });
    EXPECT_EQ(wrong, 0U);
    EXPECT_GT(pager.stats().direct_reclaims, 0U);
}

/// Memory for a stack, with an inaccessible page below it.
class GuardedMemory {
public:
    explicit GuardedMemory(std::size_t bytes) : bytes_{bytes} {
        void* const mapped =
            ::mmap(nullptr, bytes_ + kBasePageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        guard_ = static_cast<std::byte*>(mapped);
        ::mprotect(guard_, kBasePageBytes, PROT_NONE);
    }
    ~GuardedMemory() { ::munmap(guard_, bytes_ + kBasePageBytes); }
    GuardedMemory(const GuardedMemory&) = delete;
    GuardedMemory& operator=(const GuardedMemory&) = delete;
    [[nodiscard]] std::byte* begin() const noexcept { return guard_ + kBasePageBytes; }

private:
    std::byte* guard_ = nullptr;
    std::size_t bytes_;
};

// makecontext passes no pointers: the context's entry function reads its arguments from here.
Region* context_region = nullptr;
std::size_t context_wrong = 0;
ucontext_t context_back;

/// Runs `entry` on the given stack until it returns.
void run_on_memory(std::byte* stack, std::size_t bytes, void (*entry)()) {
    static ucontext_t context;
    ASSERT_EQ(::getcontext(&context), 0);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    context.uc_link = &context_back;
    ::makecontext(&context, entry, 0);
    ASSERT_EQ(::swapcontext(&context_back, &context), 0);
}

void read_whole_region() { context_wrong = wrong_words(*context_region); }

/// Less than the kernel's signal frame and the handler's own frames need together.
constexpr std::size_t kNextToNothing = 4096;

int fault_on_nearly_exhausted_stack(bool alternate_stack) {
    Pager pager{tight_config()};
    Region region = pager.reserve(kTouchedPages * kBasePageBytes);
    fill_with_units(region);
    std::optional<AlternateStack> alternate;
    if (alternate_stack) alternate.emplace();
    const GuardedMemory stack{kNextToNothing};
    context_region = &region;
    context_wrong = 1;
    run_on_memory(stack.begin(), kNextToNothing, &read_whole_region);
    return context_wrong == 0 ? 0 : 1;
}

TEST_F(Trap13, FaultOnANearlyExhaustedStackUsesTheAlternateStack) {
    const ChildEnd end = in_child([] { return fault_on_nearly_exhausted_stack(true); });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_F(Trap13, FaultOnANearlyExhaustedStackWithoutAnAlternateStackKills) {
    const ChildEnd end = in_child([] { return fault_on_nearly_exhausted_stack(false); });
    EXPECT_TRUE(end.killed_by(SIGSEGV)) << end;
}

// ---- the program's own alternate stack

stack_t current_alternate_stack() {
    stack_t now{};
    EXPECT_EQ(::sigaltstack(nullptr, &now), 0);
    return now;
}

/// Makes `memory` the thread's alternate stack while this object lives.
class OwnAlternateStack {
public:
    explicit OwnAlternateStack(std::size_t bytes) : memory_{bytes} {
        stack_t next{};
        next.ss_sp = memory_.begin();
        next.ss_size = bytes;
        EXPECT_EQ(::sigaltstack(&next, &previous_), 0);
    }
    ~OwnAlternateStack() { ::sigaltstack(&previous_, nullptr); }
    OwnAlternateStack(const OwnAlternateStack&) = delete;
    OwnAlternateStack& operator=(const OwnAlternateStack&) = delete;
    [[nodiscard]] std::byte* begin() const noexcept { return memory_.begin(); }

private:
    GuardedMemory memory_;
    stack_t previous_{};
};

std::atomic<std::byte*> handlers_frame{nullptr};

/// Handler that runs on the program's own alternate stack and faults there.
void read_region_in_handler(int, siginfo_t*, void*) {
    std::byte here{};
    handlers_frame.store(&here);
    context_wrong = wrong_words(*context_region);
}

TEST_F(Trap13, LargeAlternateStackOfTheProgramIsKeptAndItsHandlersMayFault) {
    constexpr std::size_t kLarge = std::size_t{256} << 10;
    Pager pager{tight_config()};
    Region region = pager.reserve(kTouchedPages * kBasePageBytes);
    fill_with_units(region);
    const OwnAlternateStack own{kLarge};
    {
        const AlternateStack alternate;
        EXPECT_EQ(current_alternate_stack().ss_sp, own.begin());
        const ScopedSignal reading{SIGUSR1, &read_region_in_handler, SA_ONSTACK};
        context_region = &region;
        for (int i = 0; i < 10; ++i) {
            context_wrong = 1;
            ::pthread_kill(::pthread_self(), SIGUSR1);
            EXPECT_EQ(context_wrong, 0U);
            if (!kSanitized) {
                EXPECT_GE(handlers_frame.load(), own.begin());
                EXPECT_LT(handlers_frame.load(), own.begin() + kLarge);
            }
            EXPECT_EQ(wrong_words(region), 0U);
        }
    }
    EXPECT_EQ(current_alternate_stack().ss_sp, own.begin());
}

TEST_F(Trap13, SmallAlternateStackOfTheProgramIsRestored) {
    const OwnAlternateStack own{AlternateStack::kBytes / 2};
    {
        const AlternateStack alternate;
        EXPECT_NE(current_alternate_stack().ss_sp, own.begin());
        EXPECT_GE(current_alternate_stack().ss_size, AlternateStack::kBytes);
    }
    EXPECT_EQ(current_alternate_stack().ss_sp, own.begin());
    EXPECT_EQ(current_alternate_stack().ss_size, AlternateStack::kBytes / 2);
}

// ---- 12 a stack in managed memory

constexpr int kDepth = 200;

/// Uses about 1 KiB of stack per level on the way down, and checks it on the way up.
[[gnu::noinline]] std::size_t descend(int depth) {
    std::array<volatile std::uint64_t, 128> frame;
    for (std::size_t i = 0; i < frame.size(); ++i) frame[i] = word_of_unit(static_cast<std::uint64_t>(depth)) + i;
    std::size_t wrong = depth == 0 ? 0 : descend(depth - 1);
    for (std::size_t i = 0; i < frame.size(); ++i) {
        wrong += frame[i] != word_of_unit(static_cast<std::uint64_t>(depth)) + i;
    }
    return wrong;
}

void descend_again_and_again() {
    context_wrong = 0;
    for (int i = 0; i < 12; ++i) context_wrong += descend(kDepth);
}

class Trap12 : public TrapMatrix {};

TEST_P(Trap12, StackInManagedMemoryMayBeEvictedUnderItsThread) {
    if (kSanitized) GTEST_SKIP() << "sanitizers do not know stacks in managed memory";
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    constexpr std::size_t kStackBytes = 512 * std::size_t{1024};
    Region stack = pager.reserve(kStackBytes);
    std::atomic<bool> done{false};
    context_wrong = 1;
    run_threads(2, [&](unsigned index) {
        if (index == 0) {
            const AlternateStack alternate;
            run_on_memory(stack.data(), kStackBytes, &descend_again_and_again);
            done.store(true);
            return;
        }
        while (!done.load()) stack.advise(stack.data(), stack.size(), Advice::dontneed);
    });
    EXPECT_EQ(context_wrong, 0U);
    EXPECT_GT(stack.stats().evictions + stack.stats().soft_faults, 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap12, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
