#include "pager/snapshot/standstill_writer.hpp"

#include "sys/futex.hpp"

#include <utility>

namespace faultline::pager {

StandstillWriter::StandstillWriter(const char* thread_name)
    : thread_{thread_name, "see `ulimit -u`", [this] { serve(); }} {
    wait_while(State::opening);
}

StandstillWriter::~StandstillWriter() {
    set(State::ending);
    thread_.join();
}

void StandstillWriter::run(const Job& job) {
    if (!failure_) {
        job_ = &job;
        set(State::working);
        wait_while(State::working);
    }
    if (failure_) std::rethrow_exception(queue_ ? std::exchange(failure_, nullptr) : failure_);
}

void StandstillWriter::set(State state) noexcept {
    state_.store(static_cast<std::uint32_t>(state));
    sys::futex_wake(state_);
}

void StandstillWriter::wait_while(State state) noexcept {
    sys::futex_wait_while(state_, static_cast<std::uint32_t>(state));
}

void StandstillWriter::serve() noexcept {
    try {
        queue_ = store::fastest_write_queue();
    } catch (...) {
        failure_ = std::current_exception();
    }
    set(State::idle);
    for (;;) {
        wait_while(State::idle);
        if (state_.load() == static_cast<std::uint32_t>(State::ending)) break;
        do_job();
        set(State::idle);
    }
    queue_.reset();  // on the thread that has submitted to it: see the header
}

void StandstillWriter::do_job() noexcept {
    try {
        (*job_)(*queue_);
    } catch (...) {
        failure_ = std::current_exception();
    }
}

}  // namespace faultline::pager
