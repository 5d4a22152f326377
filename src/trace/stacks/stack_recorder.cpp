#include "trace/stacks/stack_recorder.hpp"

#include "sys/clock.hpp"
#include "sys/cpu.hpp"
#include "sys/futex.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

namespace faultline::trace {
namespace {

constexpr std::chrono::nanoseconds kPause = std::chrono::milliseconds{100};  // at most so much is lost by SIGKILL
constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds{1};
constexpr std::uint64_t kLeastStep = 1000;  // ticks

/// Returns the ticks of the time stamp counter in a second, as precisely as the length of a step needs it.
double ticks_per_second() {
    constexpr std::chrono::microseconds kLong{500};
    const std::chrono::nanoseconds begin = sys::monotonic_time();
    const std::uint64_t first = sys::ticks();
    std::chrono::nanoseconds now = begin;
    while (now < begin + kLong) now = sys::monotonic_time();
    return static_cast<double>(sys::ticks() - first) / std::chrono::duration<double>(now - begin).count();
}

std::uint64_t step_for(unsigned rate) {
    static const double per_second = ticks_per_second();  // a child of fork need not measure again
    return std::max(static_cast<std::uint64_t>(per_second / std::max(rate, 1U)), kLeastStep);
}

}  // namespace

StackRecorder::StackRecorder(const StackRecording& what, Log log, std::size_t waiting)
    : log_{std::move(log)},
      first_tick_{sys::ticks()},
      first_time_{sys::monotonic_time()},
      sampler_{waiting, step_for(what.rate), what.stack_bytes, what.touched_units},
      writer_{what.path, what.session} {}

StackRecorder::~StackRecorder() {
    stop();
    drain();
}

void StackRecorder::start() {
    stopping_.store(false);
    thread_.emplace("fl-stacks", "see `ulimit -u`, or leave Config::stack_samples_file empty", [this] { run(); });
}

void StackRecorder::stop() noexcept {
    if (!thread_) return;
    stopping_.store(true);
    asked_.fetch_add(1);
    sys::futex_wake(asked_);
    thread_.reset();
}

void StackRecorder::record(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE {
    if (!recording_.load(std::memory_order_relaxed)) return;
    if (!sampler_.count(fault)) return;
    asked_.fetch_add(1, std::memory_order_relaxed);
    sys::futex_wake(asked_, 1);
}

void StackRecorder::flush() FAULTLINE_SIGNAL_SAFE {
    const std::uint32_t wanted = asked_.fetch_add(1) + 1;
    sys::futex_wake(asked_);
    const std::chrono::nanoseconds until = sys::monotonic_time() + kPatience;
    for (;;) {
        const std::uint32_t answered = answered_.load(std::memory_order_acquire);
        if (static_cast<std::int32_t>(answered - wanted) >= 0) return;
        const std::chrono::nanoseconds left = until - sys::monotonic_time();
        if (left.count() <= 0) return;
        sys::futex_wait(answered_, answered, &left);
    }
}

void StackRecorder::run() noexcept {
    while (!stopping_.load()) {
        const std::uint32_t asked = asked_.load(std::memory_order_acquire);
        drain();
        answered_.store(asked, std::memory_order_release);
        sys::futex_wake(answered_);
        sys::futex_wait(asked_, asked, &kPause);
    }
}

void StackRecorder::drain() noexcept {
    if (!writing_) return;
    try {
        write_waiting();
    } catch (const std::exception& error) {
        writing_ = false;
        recording_.store(false);
        log_(LogLevel::error, std::string{error.what()} + "; no more stacks are recorded");
    }
}

void StackRecorder::write_waiting() {
    const double scale = nanoseconds_per_tick();
    std::uint64_t unknown = 0;
    while (sampler_.take([&](const StackSample& sample) {
        const std::uint64_t code = sample.registers[kRip];
        if (!maps_ || (!maps_->has_code_at(code) && code != code_looked_for_)) unknown = code;
        writer_.append(sample, scale);
    })) {
    }
    // New code: a library that the program has loaded meanwhile, or what a compiler in it has made.
    if (unknown != 0) {
        code_looked_for_ = unknown;
        writer_.write(maps_.emplace());
    }
    writer_.flush_samples();
    const FaultTotals totals = sampler_.totals();
    if (totals.faults == written_.faults && totals.lost == written_.lost) return;
    writer_.write(totals, sys::monotonic_time(), scale);
    written_ = totals;
}

double StackRecorder::nanoseconds_per_tick() const {
    const std::uint64_t ticks = sys::ticks() - first_tick_;
    const std::chrono::nanoseconds elapsed = sys::monotonic_time() - first_time_;
    return static_cast<double>(elapsed.count()) / static_cast<double>(std::max<std::uint64_t>(ticks, 1));
}

}  // namespace faultline::trace
