#include "traps/trap_support.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <random>
#include <stdexcept>

namespace faultline::test {
namespace {

constexpr unsigned kLongestTestSeconds = 240;  // below ctest's own limit

std::uint64_t chosen_seed() {
    if (const char* wanted = std::getenv("FAULTLINE_TEST_SEED")) return std::strtoull(wanted, nullptr, 0);
    return std::random_device{}();
}

void require(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(what);
}

[[noreturn]] void live_as_child(int standard_error, const std::function<int()>& body) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(kLongestTestSeconds / 2);
    ::dup2(standard_error, STDERR_FILENO);
    ::close(standard_error);
    int code = kChildThrew;
    try {
        code = body();
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
    }
    ::_exit(code);
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

void run_threads(unsigned count, const std::function<void(unsigned)>& body) {
    std::vector<std::thread> threads;
    threads.reserve(count);
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads) thread.join();
}

bool ChildEnd::exited_with(int code) const noexcept { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
bool ChildEnd::killed_by(int signal) const noexcept { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

std::ostream& operator<<(std::ostream& out, const ChildEnd& end) {
    if (WIFEXITED(end.status)) out << "exited with " << WEXITSTATUS(end.status);
    if (WIFSIGNALED(end.status)) out << "killed by signal " << WTERMSIG(end.status);
    return out << ", said: " << end.said;
}

ChildEnd in_child(const std::function<int()>& body) {
    std::cout << std::flush;
    std::array<int, 2> ends{};
    require(::pipe(ends.data()) == 0, "pipe");
    const pid_t child = ::fork();
    require(child >= 0, "fork");
    if (child == 0) {
        ::close(ends[0]);
        live_as_child(ends[1], body);
    }
    ::close(ends[1]);
    ChildEnd end;
    std::array<char, 512> some{};
    for (;;) {
        const ssize_t got = ::read(ends[0], some.data(), some.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        end.said.append(some.data(), static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    while (::waitpid(child, &end.status, 0) < 0) require(errno == EINTR, "waitpid");
    return end;
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
