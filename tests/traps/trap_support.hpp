// Helpers of the trap tests: a watchdog, a printed seed, page contents that show corruption, scoped signal actions and
// timers. The folders fork, life, mmu, space and elf use them, too.
#pragma once

#include "support/child.hpp"
#include "support/run_threads.hpp"
#include "support/variants.hpp"

#include <faultline/faultline.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <initializer_list>
#include <string>
#include <vector>

namespace faultline::test {

/// Ends the process (SIGALRM) if the test hangs, and prints the seed that the test uses: $FAULTLINE_TEST_SEED, or a
/// random one if it is not set.
class TestGuard {
public:
    TestGuard();
    ~TestGuard();
    TestGuard(const TestGuard&) = delete;
    TestGuard& operator=(const TestGuard&) = delete;
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

private:
    std::uint64_t seed_;
};

class TrapTest : public testing::Test {
protected:
    [[nodiscard]] std::uint64_t seed() const noexcept { return guard_.seed(); }

private:
    TestGuard guard_;
};

class TrapMatrix : public testing::TestWithParam<Variant> {
protected:
    [[nodiscard]] std::uint64_t seed() const noexcept { return guard_.seed(); }
    /// The variant's configuration with room for `pages` of its pages.
    [[nodiscard]] Config config_with(std::size_t pages) const {
        return config_for(GetParam(), pages * GetParam().page_size);
    }
    [[nodiscard]] RegionOptions options() const { return {GetParam().page_size}; }

private:
    TestGuard guard_;
};

/// Returns the variants of one delivery.
std::vector<Variant> variants_of(Delivery delivery, std::size_t page_size = kBasePageBytes);

/// Returns deliveries x evictions x `page_sizes`.
std::vector<Variant> variants_with(std::initializer_list<std::size_t> page_sizes);

/// SplitMix64 (Steele, Lea, Flood 2014): small enough for a signal handler.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_{seed} {}
    std::uint64_t next() noexcept {
        state_ += 0x9e37'79b9'7f4a'7c15U;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11ebU;
        return mixed ^ (mixed >> 31);
    }
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

private:
    std::uint64_t state_;
};

// ---- contents

inline std::uint64_t read_word(const std::byte* at) noexcept {
    return *reinterpret_cast<const volatile std::uint64_t*>(at);
}
inline void write_word(std::byte* at, std::uint64_t value) noexcept {
    *reinterpret_cast<volatile std::uint64_t*>(at) = value;
}

/// Returns the value that every word of the 4 KiB unit with index `unit` holds; never 0.
constexpr std::uint64_t word_of_unit(std::uint64_t unit) noexcept { return 0xfa17'0000'0000'0000U | (unit + 1); }

/// Writes word_of_unit() to every word of a region.
void fill_with_units(Region& region);

/// Counts the words of a unit (512) that are not `word_of_unit(unit)`.
std::size_t wrong_words(const Region& region, std::uint64_t unit) noexcept;

/// Counts the wrong words of the whole region.
std::size_t wrong_words(const Region& region) noexcept;

inline std::uint64_t units_of(const Region& region) noexcept { return region.size() / kBasePageBytes; }
inline std::uint64_t pages_of(const Region& region) noexcept { return region.size() / region.page_size(); }

/// Evicts every page of the region that is not pinned. Repeats the call because a handler thread may not have published
/// a page yet that it has mapped.
inline void evict_all(Region& region) {
    do {
        region.advise(region.data(), region.size(), Advice::dontneed);
    } while (region.stats().resident_bytes > region.stats().pinned_bytes);
}

// ---- signals

/// Installs an action for a signal; the destructor restores the previous one.
class ScopedSignal {
public:
    using Handler = void (*)(int, siginfo_t*, void*);
    ScopedSignal(int signal, const struct sigaction& action);
    ScopedSignal(int signal, Handler handler, int flags = 0);
    ~ScopedSignal();
    ScopedSignal(const ScopedSignal&) = delete;
    ScopedSignal& operator=(const ScopedSignal&) = delete;

private:
    int signal_;
    struct sigaction previous_ {};
};

/// Returns an action without SA_SIGINFO: SIG_DFL, SIG_IGN or a handler of one argument.
struct sigaction plain_action(void (*handler)(int));

/// Sends `signal` to the constructing thread at each interval. That thread must end before the signal's action is
/// restored: a signal may still be pending when the timer is destroyed.
class ThreadTimer {
public:
    ThreadTimer(int signal, std::chrono::nanoseconds interval);
    ~ThreadTimer();
    ThreadTimer(const ThreadTimer&) = delete;
    ThreadTimer& operator=(const ThreadTimer&) = delete;

private:
    timer_t timer_{};
};

}  // namespace faultline::test

/// Skips the test unless a pager with this configuration can be made. For tests whose pagers live in children only.
#define FAULTLINE_SKIP_UNLESS_PERMITTED(config)     \
    do {                                            \
        FAULTLINE_PAGER_OR_SKIP(permitted, config); \
        static_cast<void>(permitted);               \
    } while (false)
