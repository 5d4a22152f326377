#include "preload/status.hpp"

#include "preload/thread_state.hpp"
#include "run/status_writer.hpp"
#include "sys/futex.hpp"
#include "sys/service_thread.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <string_view>

namespace faultline::preload {
namespace {

constexpr std::chrono::nanoseconds kPause = std::chrono::milliseconds{500};

class Status {
public:
    Status(detail::Heap& heap, std::size_t reservation) noexcept : heap_{heap} {
        status_.gauges.reservation = reservation;
    }

    [[nodiscard]] bool open(std::string_view path) noexcept { return writer_.open(path) == 0; }

    void start() {
        thread_ = new sys::ServiceThread{"fl-status", "see `ulimit -u`", [this] { run(); }};
    }

    /// The parent's thread may have held the lock, and is not here.
    void start_in_child() {
        new (&mutex_) std::mutex;
        start();
    }

    /// Not later than the thread, which may be at it.
    void publish(run::StatusWriter::Last last) noexcept {
        const std::lock_guard guard{mutex_};
        if (ended_) return;
        ended_ = last == run::StatusWriter::Last::yes;
        try {
            detail::Pager& pager = heap_.pager();
            status_.delivery = static_cast<std::uint64_t>(pager.delivery());
            status_.eviction = static_cast<std::uint64_t>(pager.eviction());
            run::set_figures(status_, pager.stats(), heap_.stats());
            heap_.residency(cells_);
            run::set_map(status_, cells_);
            writer_.publish(status_, last);
        } catch (const std::exception&) {
            return;  // no memory for it: the program has worse to think of
        }
    }

private:
    void run() noexcept {
        for (;;) {
            publish(run::StatusWriter::Last::no);
            sys::futex_wait(never_, 0, &kPause);
        }
    }

    detail::Heap& heap_;
    run::StatusWriter writer_;
    run::ProgramStatus status_;
    std::array<ResidencyCell, run::kMapCells> cells_{};
    std::mutex mutex_;
    bool ended_ = false;
    std::atomic<std::uint32_t> never_{0};
    sys::ServiceThread* thread_ = nullptr;  // never deleted
};

Status* status = nullptr;

void at_exit() {
    if (status == nullptr) return;
    const InLibrary inside;
    status->publish(run::StatusWriter::Last::yes);
}

}  // namespace

void start_status(detail::Heap& heap, const run::Settings& settings) {
    if (settings.status_file.empty()) return;
    auto* const made = new Status{heap, settings.heap_reservation};
    if (!made->open(settings.status_file)) {
        delete made;
        return;
    }
    status = made;
    status->start();
    std::atexit(&at_exit);
}

void start_status_in_child() noexcept {
    if (status == nullptr) return;
    try {
        status->start_in_child();
    } catch (const std::exception&) {
        status = nullptr;  // no thread to be had
    }
}

}  // namespace faultline::preload
