#include "run/memory_keeper.hpp"

#include "run/process_identity.hpp"
#include "run/process_memory.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <exception>
#include <string>

namespace faultline::run {
namespace {

constexpr std::size_t kStep = std::size_t{64} << 10;
constexpr std::size_t kLeastManaged = std::size_t{1} << 20;
constexpr unsigned kLooksOfAStart = 8;  // the first second, about
constexpr std::size_t kOtherAtStart = std::size_t{4} << 20;
constexpr std::uint64_t kFewFaults = 20;  // a second: more memory would save no time to speak of
constexpr std::chrono::nanoseconds kPause = std::chrono::milliseconds{500};
constexpr std::chrono::nanoseconds kShortPause = std::chrono::milliseconds{50};

std::size_t less(std::size_t from, std::size_t bytes) noexcept { return from - std::min(from, bytes); }

}  // namespace

void MemoryKeeper::share(StatusMemory& memory, std::size_t slot) noexcept {
    if (memory.tree.limit == 0 || (share_ && slot == slot_)) return;
    share_ = TreeShare{memory, slot};
    slot_ = slot;
}

/// Returns what the process has now. What faultline records counts as other memory.
TreePeak MemoryKeeper::taken() const noexcept {
    const pager::SplitKeeper::Figures held = pager_.limit().split().now();
    const std::size_t managed = held.frames + held.compressed;
    return {held.frames, held.compressed, std::max(less(anonymous_memory(), managed), held.records)};
}

void MemoryKeeper::note() noexcept {
    if (share_) share_.note(taken());
}

void MemoryKeeper::look() noexcept {
    const TreePeak now = taken();
    const std::size_t records = pager_.limit().split().now().records;  // the pager's limit includes them
    const std::size_t share = share_ ? share_.next({now, hard_faults_a_second()}) : limit_;
    const std::size_t other = less(now.other, records);
    growing_ = less(other, other_before_) > 2 * kStep;
    other_before_ = other;
    // While a program starts, what it has besides grows from nothing, and faster than it is measured.
    const std::size_t to_come = looks_ < kLooksOfAStart ? std::min(share / 4, kOtherAtStart) : 0;
    if (looks_ < kLooksOfAStart) ++looks_;
    set_limit(managed_part(share, std::max(other, to_come)));
    if (share_ && share < share_.share()) share_.give_back(share);
}

void MemoryKeeper::end() noexcept {
    if (share_) share_.end();
}

std::chrono::nanoseconds MemoryKeeper::pause() const noexcept {
    return growing_ || (share_ && share_.is_contended()) ? kShortPause : kPause;
}

std::uint64_t MemoryKeeper::hard_faults_a_second() noexcept {
    const std::uint64_t faults = pager_.hard_faults();
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::max(std::chrono::duration<double>(now - looked_at_).count(), 0.001);
    const auto latest = static_cast<double>(faults - std::min(faults, faults_before_)) / seconds;
    rate_ = (rate_ + static_cast<std::uint64_t>(latest)) / 2;
    faults_before_ = faults;
    looked_at_ = now;
    return rate_ < kFewFaults ? 0 : rate_;
}

/// Returns what the pager may take of `share`, if the process has `other` bytes besides. A part stays free for what
/// the process allocates until the next look.
std::size_t MemoryKeeper::managed_part(std::size_t share, std::size_t other) noexcept {
    const std::size_t part = less(share, other + std::max(share / 32, 8 * kStep));
    const std::size_t floor = std::max(share / 8, kLeastManaged);
    if (part >= floor) return part;
    report_floor(share, other);
    return floor;
}

void MemoryKeeper::set_limit(std::size_t bytes) noexcept {
    bytes = bytes / kStep * kStep;
    if (bytes == pager_.memory_limit()) return;
    try {
        pager_.limit().set_memory(bytes);
    } catch (const std::exception&) {
        return;  // pins, or a full disk: the next look tries again
    }
}

void MemoryKeeper::report_floor(std::size_t share, std::size_t other) noexcept {
    if (floor_reported_ || (share_ && share < limit_ / 2)) return;  // small shares of a tree come and go
    floor_reported_ = true;
    try {
        const ProcessIdentity self = identify_this_process();
        say_(std::string{self.name.data()} + " (" + std::to_string(self.pid) + ") has " + sys::readable_bytes(other) +
             " of memory that faultline does not manage (stacks, data of libraries, unmanaged mappings), which leaves "
             "too little of its " +
             sys::readable_bytes(share) + ": the limit is exceeded; choose a higher --memory");
    } catch (const std::exception&) {
        return;  // out of memory
    }
}

}  // namespace faultline::run
