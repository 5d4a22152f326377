// AlternateStack: a thread has a large enough signal stack while one lives, and its earlier stack afterwards.
#include <faultline/alternate_stack.hpp>

#include "core/units.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

stack_t current_stack() {
    stack_t now{};
    EXPECT_EQ(::sigaltstack(nullptr, &now), 0);
    return now;
}

void set_stack(std::vector<std::byte>& memory) {
    stack_t next{};
    next.ss_sp = memory.data();
    next.ss_size = memory.size();
    ASSERT_EQ(::sigaltstack(&next, nullptr), 0);
}

void set_no_stack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ASSERT_EQ(::sigaltstack(&none, nullptr), 0);
}

/// Runs `body` on a thread of its own, whose signal stack no other test uses.
template <typename Body>
void on_a_thread(Body body) {
    std::thread{[&body] {
        set_no_stack();
        body();
        set_no_stack();
    }}.join();
}

bool is_on(const stack_t& stack, std::uintptr_t address) {
    const std::uintptr_t begin = core::address_of(stack.ss_sp);
    return begin <= address && address < begin + stack.ss_size;
}

TEST(AlternateStack, GivesAThreadOneAndTakesItAway) {
    on_a_thread([] {
        {
            const AlternateStack stack;
            EXPECT_EQ(current_stack().ss_flags & SS_DISABLE, 0);
            EXPECT_GE(current_stack().ss_size, AlternateStack::kBytes);
        }
        EXPECT_NE(current_stack().ss_flags & SS_DISABLE, 0);
    });
}

TEST(AlternateStack, PutsASmallerOneBack) {
    on_a_thread([] {
        std::vector<std::byte> small(AlternateStack::kBytes / 2);
        set_stack(small);
        {
            const AlternateStack stack;
            EXPECT_NE(current_stack().ss_sp, small.data());
            EXPECT_GE(current_stack().ss_size, AlternateStack::kBytes);
        }
        EXPECT_EQ(current_stack().ss_sp, small.data());
        EXPECT_EQ(current_stack().ss_size, small.size());
    });
}

TEST(AlternateStack, KeepsOneThatIsLargeEnough) {
    for (std::size_t bytes : {AlternateStack::kBytes, 4 * AlternateStack::kBytes}) {
        on_a_thread([bytes] {
            std::vector<std::byte> large(bytes);
            set_stack(large);
            {
                const AlternateStack stack;
                EXPECT_EQ(current_stack().ss_sp, large.data());
            }
            EXPECT_EQ(current_stack().ss_sp, large.data());
        });
    }
}

TEST(AlternateStack, MayBeAskedForTwice) {
    on_a_thread([] {
        const AlternateStack outer;
        void* const address = current_stack().ss_sp;
        {
            const AlternateStack inner;
            EXPECT_EQ(current_stack().ss_sp, address);
        }
        EXPECT_EQ(current_stack().ss_sp, address);
    });
}

TEST(AlternateStack, LeavesNoMappingBehind) {
    on_a_thread([] {
        { const AlternateStack stack; }
        const std::size_t before = mappings();
        for (int i = 0; i < 100; ++i) const AlternateStack stack;
        EXPECT_LT(mappings(), before + 100);
    });
}

std::uintptr_t handler_ran_at = 0;
void note_where(int) { handler_ran_at = core::address_of(__builtin_frame_address(0)); }

void raise_on_the_alternate_stack(void (*handler)(int)) {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK;
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    ASSERT_EQ(::raise(SIGUSR1), 0);
    ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
}

TEST(AlternateStack, IsWhereHandlersRun) {
    on_a_thread([] {
        const AlternateStack stack;
        raise_on_the_alternate_stack(note_where);
        EXPECT_TRUE(is_on(current_stack(), handler_ran_at));
    });
}

TEST(AlternateStack, EndsInAGuardPage) {
    const auto overflow = [] {
        const AlternateStack stack;
        auto* const bottom = static_cast<volatile std::byte*>(current_stack().ss_sp);
        bottom[0] = std::byte{1};
        bottom[-1] = std::byte{1};
        std::_Exit(0);
    };
    EXPECT_EXIT(overflow(), testing::KilledBySignal(SIGSEGV), "");
}

int refused_with = 0;
std::size_t mappings_made = 0;

/// Runs on a stack that is too small: it cannot be exchanged while the thread runs on it.
void ask_while_on_one(int) {
    const std::size_t before = mappings();
    refused_with = 0;
    for (int i = 0; i < 20; ++i) {
        try {
            const AlternateStack stack;
        } catch (const std::system_error& error) {
            refused_with = error.code().value();
        }
    }
    mappings_made = mappings() - before;
}

TEST(AlternateStack, RefusedInAHandlerOnASmallOneLeavesNothingBehind) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer objects to exceptions in signal handlers";
#endif
    on_a_thread([] {
        std::vector<std::byte> small(AlternateStack::kBytes - core::kUnitBytes);
        set_stack(small);
        ask_while_on_one(0);  // first on the ordinary stack, where it works
        EXPECT_EQ(refused_with, 0);
        raise_on_the_alternate_stack(ask_while_on_one);
        EXPECT_EQ(refused_with, EPERM);
        EXPECT_LT(mappings_made, 20U);
    });
}

}  // namespace
}  // namespace faultline::test
