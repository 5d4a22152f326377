#include "preload/status.hpp"

#include "preload/thread_state.hpp"
#include "run/memory_keeper.hpp"
#include "run/process_identity.hpp"
#include "run/status_writer.hpp"
#include "sys/file_reader.hpp"
#include "sys/futex.hpp"
#include "sys/service_thread.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>

namespace faultline::preload {
namespace {

// Samples often at first, so that a program that crashes early leaves figures.
constexpr std::chrono::nanoseconds kFirstPause = std::chrono::milliseconds{10};
constexpr std::chrono::nanoseconds kPause = std::chrono::milliseconds{500};
constexpr std::chrono::nanoseconds kPauseInChild = std::chrono::milliseconds{2};  // before the first look
constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds{1};

class Status {
public:
    Status(heap::Heap& heap, const run::Settings& settings, void (*say)(std::string_view)) : heap_{heap} {
        status_.gauges.reservation = settings.heap_reservation;
        if (settings.memory() == 0) return;
        keeper_.emplace(heap.pager(), settings.memory(), say);
        heap.pager().kept_pages().ask_for_room([this](std::uint64_t bytes) { return has_room_for_child(bytes); });
    }

    /// Returns true if the file was opened.
    [[nodiscard]] bool open(std::string_view path) noexcept { return writer_.open(path) == 0; }
    /// Returns true if the thread has work: figures, or a limit of all memory.
    [[nodiscard]] bool has_work() const noexcept { return writer_.wants_figures() || keeper_.has_value(); }

    /// Holds the process to its limit of all memory, if it has one.
    void keep_memory() noexcept {
        const std::lock_guard guard{mutex_};
        if (!keeper_ || ended_) return;
        if (writer_.has_slot()) keeper_->share(*writer_.memory(), writer_.slot());
        keeper_->look();
    }

    /// Returns true if the limit allows a child of fork `bytes` from its start. Does not wait: false while another
    /// thread keeps the memory.
    [[nodiscard]] bool has_room_for_child(std::uint64_t bytes) noexcept {
        const std::unique_lock guard{mutex_, std::try_to_lock};
        return guard && keeper_->has_room_for_child(bytes);
    }

    void note_unmanaged(const run::UnmanagedProgram& program) noexcept { writer_.note_unmanaged(program); }

    /// `pause`: before the first look, unless figures are asked for.
    void start(std::chrono::nanoseconds pause = {}) {
        thread_ = new sys::ServiceThread{"fl-status", "see `ulimit -u`", [this, pause] { run(pause); }};
    }

    void stop() noexcept {
        stopping_.store(true);
        asked_.fetch_add(1);
        sys::futex_wake(asked_);
        delete thread_;
        thread_ = nullptr;
        stopping_.store(false);
    }

    /// Takes the figures from which the child counts, and starts the thread. Many children end or call exec at once, so
    /// the thread first waits. Makes a new lock first: a thread of the parent may have held it at the fork, and does
    /// not exist here.
    void start_in_child() {
        new (&mutex_) std::mutex;
        pid_ = run::this_pid();
        if (writer_.wants_figures()) at_fork_ = heap_.pager().stats();
        status_.memory = {};
        ended_ = false;
        if (keeper_) keeper_->forget_share();
        start(kPauseInChild);
    }

    /// Asks the thread to publish, and waits until it has, but at most kPatience: the publishing thread may wait for a
    /// lock of the heap whose holder never continues. Takes no lock and allocates nothing. Signal-safe. `complete`:
    /// these figures are final.
    void publish_soon(bool complete) noexcept {
        if (run::this_pid() != pid_) return;  // a child of vfork; the figures are its parent's
        if (complete) completing_.store(true, std::memory_order_release);
        const std::uint32_t wanted = asked_.fetch_add(1, std::memory_order_acq_rel) + 1;
        sys::futex_wake(asked_);
        const auto until = std::chrono::steady_clock::now() + kPatience;
        for (;;) {
            const std::uint32_t answered = answered_.load(std::memory_order_acquire);
            if (static_cast<std::int32_t>(answered - wanted) >= 0) return;
            const std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
            if (left <= left.zero()) return;
            sys::futex_wait(answered_, answered, &left);
        }
    }

    /// Publishes the figures, unless the last ones are published. `complete`: the program is about to end or to call
    /// exec.
    void publish(run::StatusWriter::Last last, bool complete) noexcept {
        const std::lock_guard guard{mutex_};
        if (complete) heap_.pager().flush_stacks();
        if (ended_) return;
        ended_ = last == run::StatusWriter::Last::yes;
        if (keeper_) keeper_->note();
        if (ended_ && keeper_) keeper_->end();
        if (!writer_.wants_figures()) return;
        try {
            pager::Pager& pager = heap_.pager();
            status_.delivery = static_cast<std::uint64_t>(pager.delivery());
            status_.eviction = static_cast<std::uint64_t>(pager.eviction());
            pager_ = pager.stats();
            core::subtract_latencies(pager_, at_fork_);
            run::set_figures(status_, pager_, heap_.stats());
            heap_.residency(cells_);
            run::set_map(status_, cells_);
            const std::uint64_t peak = status_.memory.anonymous;
            run::raise_peaks(status_.memory);
            if (status_.memory.anonymous > peak) {
                status_.memory.managed = status_.gauges.frames_used;
                status_.memory.compressed = status_.gauges.compressed_used;
            }
            status_.complete = complete ? 1 : 0;
            writer_.publish(status_, last);
        } catch (const std::exception&) {
            return;  // out of memory: the next sample tries again
        }
    }

private:
    /// Without the reader, the files that this thread reads would take numbers that the program expects to get.
    static void start_reader(std::optional<sys::FileReader>& reader) noexcept {
        try {
            reader.emplace();
        } catch (const std::exception&) {
            return;  // no thread can be started: this thread reads by itself
        }
    }

    void run(std::chrono::nanoseconds first_pause) noexcept {
        std::chrono::nanoseconds pause = kFirstPause;
        if (first_pause.count() > 0) sys::futex_wait(asked_, answered_.load(), &first_pause);
        std::optional<sys::FileReader> reader;
        if (!stopping_.load()) start_reader(reader);
        while (!stopping_.load()) {
            const std::uint32_t asked = asked_.load(std::memory_order_acquire);
            publish(run::StatusWriter::Last::no, completing_.exchange(false, std::memory_order_acquire));
            answered_.store(asked, std::memory_order_release);
            sys::futex_wake(answered_);
            keep_memory();
            const std::chrono::nanoseconds wait = keeper_ ? std::min(pause, keeper_->pause()) : pause;
            sys::futex_wait(asked_, asked, &wait);
            pause = std::min(2 * pause, kPause);
        }
    }

    heap::Heap& heap_;
    run::StatusWriter writer_;
    run::ProgramStatus status_;
    std::array<ResidencyCell, run::kMapCells> cells_{};
    PagerStats pager_;
    PagerStats at_fork_;                       // latencies that the parent had counted
    std::optional<run::MemoryKeeper> keeper_;  // used with mutex_ held, but for its pause
    std::mutex mutex_;
    bool ended_ = false;
    std::uint64_t pid_ = run::this_pid();
    std::atomic<std::uint32_t> asked_{0};     // futex: number of requests to publish
    std::atomic<std::uint32_t> answered_{0};  // futex: number of requests that are done
    std::atomic<bool> completing_{false};     // the next requested figures are the last
    std::atomic<bool> stopping_{false};
    sys::ServiceThread* thread_ = nullptr;  // not deleted at the end of the program
};

Status* status = nullptr;

void at_exit() {
    if (status == nullptr) return;
    const InLibrary inside;
    status->publish(run::StatusWriter::Last::yes, true);
}

}  // namespace

void start_status(heap::Heap& heap, const run::Settings& settings, void (*say)(std::string_view)) {
    if (settings.status_file.empty() && settings.memory() == 0) return;
    auto* const made = new Status{heap, settings, say};
    const bool opened = !settings.status_file.empty() && made->open(settings.status_file);
    if (!opened && !made->has_work()) {
        delete made;
        return;
    }
    status = made;
    if (!status->has_work()) return;
    status->keep_memory();
    status->start();
    std::atexit(&at_exit);
    std::at_quick_exit(&publish_status_before_end);
}

void stop_status() noexcept {
    if (status != nullptr) status->stop();
}

void start_status_again() noexcept {
    if (status == nullptr || !status->has_work()) return;
    try {
        status->start();
    } catch (const std::exception&) {
        status = nullptr;  // cannot start a thread
    }
}

void start_status_in_child() noexcept {
    if (status == nullptr || !status->has_work()) return;
    try {
        status->start_in_child();
    } catch (const std::exception&) {
        status = nullptr;  // cannot start a thread
    }
}

void forget_status() noexcept { status = nullptr; }

void publish_status_before_end() noexcept {
    // Inside the library, this thread may hold a lock that the publishing thread needs.
    if (status != nullptr && status->has_work() && this_thread.inside == 0) status->publish_soon(true);
}

void note_unmanaged(const run::UnmanagedProgram& program) noexcept {
    if (status != nullptr) status->note_unmanaged(program);
}

}  // namespace faultline::preload
