#include "pager/delivery/pager_threads.hpp"

#include "core/check.hpp"
#include "pager/region/standstill.hpp"
#include "sys/clock.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace faultline::pager {
namespace {

enum : std::size_t { kReader, kHousekeeper };

/// The depths of the two threads' rings. They are opened together, while the handler threads start.
std::vector<unsigned> ring_depths(bool reader, bool housekeeper) {
    return {reader ? AsyncReader::kRingDepth : 0, housekeeper ? store::RingWriteQueue::kDepth : 0};
}

}  // namespace

unsigned PagerThreads::handlers() const {
    return core_.config.handler_threads == 0 ? sys::allowed_cpus() : core_.config.handler_threads;
}

/// A fault may wait for room on a full disk for as long as the configuration says.
std::chrono::nanoseconds PagerThreads::patience() const {
    return mmu::UffdThreadSource::kHandlerPatience + core_.config.full_disk_patience;
}

std::unique_ptr<AsyncReader> PagerThreads::new_reader(sys::IoRing ring) {
    if (!delivery_.takes_faults()) return nullptr;
    if (!core_.stores->reads_by_kernel()) return nullptr;
    return AsyncReader::start(read_ahead_, handlers(), patience(), core_.stores->records(), std::move(ring));
}

std::unique_ptr<Housekeeper> PagerThreads::new_housekeeper(std::unique_ptr<store::WriteQueue> queue) {
    if (!core_.config.background_evictor) return nullptr;
    return std::make_unique<Housekeeper>(*this, core_.log, std::move(queue));
}

bool PagerThreads::keep_house(store::WriteQueue& queue) {
    delivery_.report_later_handler(core_.log);
    report_thrashing();
    return reclaimer_.keep_house(queue);
}

/// Says once that the limit is far too small, and what would help.
void PagerThreads::report_thrashing() {
    const std::chrono::nanoseconds now = sys::monotonic_time();
    if (!core_.thrash.is_due(now)) return;
    const std::uint64_t limit = core_.limit.bytes.load();
    const std::optional<Thrashing> found = core_.thrash.look(now, core_.latencies.read(FaultKind::hard),
                                                             core_.departures.evictions(), limit / core::kUnitBytes);
    if (!found) return;
    const auto seconds = [](std::chrono::nanoseconds time) { return std::to_string(time / std::chrono::seconds{1}); };
    const std::uint64_t whole = core_.config.memory_limit != 0 ? core_.config.memory_limit : limit;
    core_.log.say(LogLevel::warning, "threads waited " + seconds(found->lost) + " s for pages in the last " +
                                         seconds(found->over) + " s, in " + std::to_string(found->faults) +
                                         " faults that read a page back: the limit of " + sys::readable_bytes(whole) +
                                         " is too small for this program. With about " +
                                         sys::readable_bytes(whole + found->wanted_bytes) +
                                         ", nine in ten of these faults would not have happened");
}

void PagerThreads::start() {
    sys::IoRing::Opening rings{ring_depths(delivery_.takes_faults(), core_.config.background_evictor)};
    delivery_.start_threads(core_, handlers(), patience());
    read_ahead_.set_reader(new_reader(rings.take(kReader)));
    core_.housekeeper = new_housekeeper(store::fastest_write_queue(rings.take(kHousekeeper)));
    core_.stores->set_background_return(core_.housekeeper != nullptr);
}

void PagerThreads::start_in_child() {
    if (!core_.config.background_evictor) {
        core_.stores->speed_up_reads();
        return start();
    }
    delivery_.start_threads(core_, handlers(), patience());
    core_.put_off.put_off();
    core_.housekeeper = new_housekeeper(nullptr);
    core_.stores->set_background_return(true);
}

/// Starts what `start_in_child` has put off once a fault waits for it; asks the next fault to do so until then.
std::unique_ptr<store::WriteQueue> PagerThreads::open_queue() noexcept {
    if (!core_.put_off.is_asked()) {
        core_.put_off.want();
        return nullptr;
    }
    try {
        std::unique_ptr<store::WriteQueue> queue = start_rest();
        if (queue) core_.put_off.finish();
        if (!queue) core_.put_off.fail();
        return queue;
    } catch (const std::exception& error) {
        core_.put_off.finish();
        core_.log.say(LogLevel::warning,
                      std::string("a child of fork goes on without some threads of its pager: ") + error.what());
        return std::make_unique<store::SequentialWriteQueue>();
    }
}

/// Returns null while a control call is under way: it may be waiting for this
/// thread to end.
std::unique_ptr<store::WriteQueue> PagerThreads::start_rest() {
    const std::unique_lock lock{core_.control, std::try_to_lock};
    if (!lock) return nullptr;
    core_.stores->speed_up_reads();
    sys::IoRing::Opening rings{ring_depths(delivery_.takes_faults(), true)};
    read_ahead_.set_reader(new_reader(rings.take(kReader)));
    return store::fastest_write_queue(rings.take(kHousekeeper));
}

void PagerThreads::end() noexcept {
    core_.housekeeper.reset();
    delivery_.stop_threads();
    delivery_.stop_signals();
    read_ahead_.take_reader().reset();  // after the handler threads, which begin reads
}

void PagerThreads::run_without(const std::function<void()>& change) {
    core_.require_owner_process();
    const std::lock_guard lock{core_.control};
    stop();
    change();
    try {
        start_again();
    } catch (const std::exception& error) {
        if (core_.config.delivery == Delivery::uffd_threads && !delivery_.has_threads()) {
            core::fatal(error.what(), __FILE__, __LINE__);  // every fault would wait for ever
        }
        core_.log.say(LogLevel::warning, std::string("the pager goes on without its own threads: ") + error.what());
    }
}

/// The pointers to the threads are cleared at a standstill, so that no fault leaves work to one. The threads end after
/// it.
void PagerThreads::stop() {
    core_.put_off.finish();  // start_again starts all
    if (core_.stack_recorder) core_.stack_recorder->stop();
    delivery_.stop_threads();
    std::unique_ptr<AsyncReader> reader;
    std::unique_ptr<Housekeeper> housekeeper;
    const Standstill still;
    read_ahead_.drain();
    reader = read_ahead_.take_reader();
    housekeeper = std::move(core_.housekeeper);
    core_.stores->set_background_return(false);
}

void PagerThreads::start_again() {
    sys::IoRing::Opening rings{ring_depths(delivery_.takes_faults(), core_.config.background_evictor)};
    delivery_.start_threads(core_, handlers(), patience());
    std::unique_ptr<AsyncReader> reader = new_reader(rings.take(kReader));
    std::unique_ptr<Housekeeper> housekeeper = new_housekeeper(store::fastest_write_queue(rings.take(kHousekeeper)));
    const Standstill still;
    read_ahead_.set_reader(std::move(reader));
    core_.housekeeper = std::move(housekeeper);
    core_.stores->set_background_return(core_.housekeeper != nullptr);
    core_.wake_to_return_space();
    if (core_.stack_recorder) core_.stack_recorder->start();
}

void PagerThreads::forget_parents_threads() noexcept {
    delivery_.forget_parents_threads();
    if (AsyncReader* const reader = read_ahead_.take_reader().release()) reader->forget_in_child();
    static_cast<void>(core_.housekeeper.release());
}

}  // namespace faultline::pager
