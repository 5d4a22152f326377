#include "traps/trap_support.hpp"

#include "support/require.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <random>

namespace faultline::test {
namespace {

constexpr unsigned kLongestTestSeconds = 240;  // below ctest's own limit

std::uint64_t chosen_seed() {
    if (const char* wanted = std::getenv("FAULTLINE_TEST_SEED")) return std::strtoull(wanted, nullptr, 0);
    return std::random_device{}();
}

}  // namespace

TestGuard::TestGuard() : seed_{chosen_seed()} {
    std::cout << "FAULTLINE_TEST_SEED=" << seed_ << std::endl;
    ::alarm(kLongestTestSeconds);
}

TestGuard::~TestGuard() { ::alarm(0); }

std::vector<Variant> variants_of(Delivery delivery, std::size_t page_size) {
    std::vector<Variant> some;
    for (const Variant& variant : deliveries_and_evictions(Replacement::second_chance, page_size)) {
        if (variant.delivery == delivery) some.push_back(variant);
    }
    return some;
}

std::vector<Variant> variants_with(std::initializer_list<std::size_t> page_sizes) {
    std::vector<Variant> all;
    for (const std::size_t page_size : page_sizes) {
        for (const Variant& variant : deliveries_and_evictions(Replacement::second_chance, page_size)) {
            all.push_back(variant);
        }
    }
    return all;
}

void fill_with_units(Region& region) {
    for (std::size_t offset = 0; offset < region.size(); offset += sizeof(std::uint64_t)) {
        write_word(region.data() + offset, word_of_unit(offset / kBasePageBytes));
    }
}

std::size_t wrong_words(const Region& region, std::uint64_t unit) noexcept {
    std::size_t wrong = 0;
    const std::byte* const begin = region.data() + unit * kBasePageBytes;
    for (std::size_t offset = 0; offset < kBasePageBytes; offset += sizeof(std::uint64_t)) {
        if (read_word(begin + offset) != word_of_unit(unit)) ++wrong;
    }
    return wrong;
}

std::size_t wrong_words(const Region& region) noexcept {
    std::size_t wrong = 0;
    for (std::uint64_t unit = 0; unit < units_of(region); ++unit) wrong += wrong_words(region, unit);
    return wrong;
}

ScopedSignal::ScopedSignal(int signal, const struct sigaction& action) : signal_{signal} {
    require(::sigaction(signal, &action, &previous_) == 0, "sigaction");
}

ScopedSignal::ScopedSignal(int signal, Handler handler, int flags) : signal_{signal} {
    struct sigaction action {};
    action.sa_sigaction = handler;
    action.sa_flags = flags | SA_SIGINFO;
    require(::sigaction(signal, &action, &previous_) == 0, "sigaction");
}

ScopedSignal::~ScopedSignal() { ::sigaction(signal_, &previous_, nullptr); }

struct sigaction plain_action(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    return action;
}

ThreadTimer::ThreadTimer(int signal, std::chrono::nanoseconds interval) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event._sigev_un._tid = ::gettid();
    require(::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0, "timer_create");
    itimerspec times{};
    times.it_interval.tv_sec = static_cast<time_t>(interval.count() / 1'000'000'000);
    times.it_interval.tv_nsec = static_cast<long>(interval.count() % 1'000'000'000);
    times.it_value = times.it_interval;
    require(::timer_settime(timer_, 0, &times, nullptr) == 0, "timer_settime");
}

ThreadTimer::~ThreadTimer() { ::timer_delete(timer_); }

}  // namespace faultline::test
