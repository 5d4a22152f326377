// What the trap tests share: a watchdog, a printed seed, contents that show what is wrong with them, children that end
// in interesting ways, signals and timers that clean up behind themselves.
#pragma once

#include "support/child.hpp"
#include "support/variants.hpp"

#include <faultline/faultline.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <string>
#include <thread>
#include <vector>

namespace faultline::test {

/// Kills the process (SIGALRM) when a test stops for good, and says with which seed the test runs:
/// $FAULTLINE_TEST_SEED, else a new one.
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

/// The variants of one delivery only.
std::vector<Variant> variants_of(Delivery delivery, std::size_t page_size = kBasePageBytes);

/// Deliveries x evictions with each of the page sizes.
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

/// The value of every word of the `unit`-th 4 KiB of a region; never 0.
constexpr std::uint64_t word_of_unit(std::uint64_t unit) noexcept { return 0xfa17'0000'0000'0000U | (unit + 1); }

/// Gives every word of a region the value of its 4 KiB unit.
void fill_with_units(Region& region);

/// How many of the 512 words of a unit are not `word_of_unit(unit)`.
std::size_t wrong_words(const Region& region, std::uint64_t unit) noexcept;

/// The same for a whole region.
std::size_t wrong_words(const Region& region) noexcept;

inline std::uint64_t units_of(const Region& region) noexcept { return region.size() / kBasePageBytes; }
inline std::uint64_t pages_of(const Region& region) noexcept { return region.size() / region.page_size(); }

/// Evicts the whole region by name; again where a handler thread has not finished with a page it has mapped.
inline void evict_all(Region& region) {
    do {
        region.advise(region.data(), region.size(), Advice::dontneed);
    } while (region.stats().resident_bytes > region.stats().pinned_bytes);
}

// ---- threads

/// Runs `body(index)` on `count` threads and waits for them.
void run_threads(unsigned count, const std::function<void(unsigned)>& body);

// ---- signals

/// An action for a signal, while it lives.
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

/// SIG_DFL, SIG_IGN or a handler of one argument.
struct sigaction plain_action(void (*handler)(int));

/// Sends `signal` to the thread that made it, again and again. Its thread must end before the signal's action goes.
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

/// For tests whose pagers live in children only.
#define FAULTLINE_SKIP_UNLESS_PERMITTED(config)     \
    do {                                            \
        FAULTLINE_PAGER_OR_SKIP(permitted, config); \
        static_cast<void>(permitted);               \
    } while (false)
