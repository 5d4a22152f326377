#include "pager/frame/staging.hpp"

#include "core/check.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <system_error>

namespace faultline::pager {

namespace {

constexpr std::size_t kFramesPerBatch = 16;  // at least as many pages as a faulting thread's own batch holds
constexpr const char* kPurpose = "the staging area";

bool can_reserve(std::size_t batches) {
    try {
        static_cast<void>(sys::Mapping::reserve_closed(batches * kLargestPageBytes, kLargestPageBytes, kPurpose));
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

/// Returns as many batches as the limit needs, or half of what the process may still reserve (RLIMIT_AS): the program
/// needs addresses, too.
std::size_t batches_for(std::size_t frames) {
    const std::size_t wanted = std::clamp(frames / kFramesPerBatch, Staging::kLeastBatches, Staging::kMostBatches);
    std::size_t batches = wanted;
    while (batches > Staging::kLeastBatches && !can_reserve(batches)) batches /= 2;
    return batches == wanted ? wanted : std::max(batches / 2, Staging::kLeastBatches);
}

}  // namespace

/// Batches are opened singly, when they are needed. An mlockall of the program fills all accessible memory, and a
/// machine with strict overcommit accounting counts it.
Staging::Staging(std::size_t frames)
    : batches_{batches_for(frames)},
      area_{sys::Mapping::reserve_closed(batches_ * kLargestPageBytes, kLargestPageBytes, kPurpose)},
      storage_{batches_ * sizeof(StagingBatch), "staging batches"} {}

/// If the program's mlockall has locked the area, the kernel would fill the memory that is opened, so the lock ends
/// first. It ends for the fence, too, so that the fence stays in one mapping with the open batches.
void Staging::open_batches(std::size_t first, std::size_t count) FAULTLINE_SIGNAL_SAFE {
    std::byte* const begin = area_.data() + first * kLargestPageBytes;
    const std::size_t bytes = count * kLargestPageBytes;
    sys::unlock_pages(begin, bytes);
    sys::unlock_pages(area_.fence().data(), area_.fence().size());
    const int error = sys::wait_out("mprotect of the staging area", [&] {
        return sys::error_of(
            sys::raw_syscall(SYS_mprotect, sys::syscall_argument(begin), bytes, PROT_READ | PROT_WRITE));
    });
    FAULTLINE_REQUIRE_MAPPED(error, "a staging batch cannot be opened");
}

void Staging::start_in_child() {
    area_.restore_in_child(Access::none);
    if (const std::size_t count = constructed_.load()) open_batches(0, count);
}

StagingBatch& Staging::batch_at(std::size_t index) const noexcept {
    return *std::launder(reinterpret_cast<StagingBatch*>(&storage_[index * sizeof(StagingBatch)]));
}

StagingBatch* Staging::take_empty() FAULTLINE_SIGNAL_SAFE {
    StagingBatch* batch = nullptr;
    {
        const std::scoped_lock lock{lock_};
        if (!empty_.empty()) {
            batch = &empty_.front();
            empty_.pop_front();
            return batch;
        }
        const std::size_t index = constructed_.load(std::memory_order_relaxed);
        if (index == batches_) return nullptr;
        batch = new (&storage_[index * sizeof(StagingBatch)]) StagingBatch;
        batch->index = static_cast<std::uint32_t>(index);
        constructed_.store(index + 1, std::memory_order_release);
    }
    open_batches(batch->index, 1);
    return batch;
}

void Staging::give_back_empty(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    batch.pages = 0;
    batch.used_units = 0;
    const std::scoped_lock lock{lock_};
    empty_.push_front(batch);
}

void Staging::push(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    zone_.push_back(batch);
    zone_units_ += batch.used_units;
    ++zone_batches_;
}

StagingBatch* Staging::pop_oldest(std::size_t keep_units) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    if (zone_.empty() || zone_units_ <= keep_units) return nullptr;
    StagingBatch& batch = zone_.front();
    zone_.pop_front();
    zone_units_ -= batch.used_units;
    --zone_batches_;
    return &batch;
}

std::size_t Staging::zone_batches() FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    return zone_batches_;
}

std::size_t Staging::add(StagingBatch& batch, core::PageRef page, std::size_t units, std::uint8_t policy_tag,
                         StagedFrame frame) FAULTLINE_SIGNAL_SAFE {
    const std::size_t number = batch.pages++;
    StagingBatch::Entry& entry = batch.entries[number];
    entry.first_unit = static_cast<std::uint16_t>(batch.used_units);
    entry.units = static_cast<std::uint16_t>(units);
    entry.policy_tag = policy_tag;
    entry.written = false;
    entry.frame.store(frame, std::memory_order_relaxed);
    entry.page.store(page.bits(), std::memory_order_release);
    batch.entry_of_unit[batch.used_units] = static_cast<std::uint8_t>(number);
    batch.used_units += units;
    return number;
}

void Staging::remove_last(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    StagingBatch::Entry& entry = batch.entries[--batch.pages];
    batch.used_units -= entry.units;
    entry.page.store(0, std::memory_order_release);
}

StagingBatch::Entry& Staging::entry_at(StagingUnit unit) const noexcept {
    StagingBatch& batch = batch_at(unit / StagingBatch::kUnits);
    return batch.entries[batch.entry_of_unit[unit % StagingBatch::kUnits]];
}

void Staging::frame_taken_back(StagingUnit unit) FAULTLINE_SIGNAL_SAFE {
    entry_at(unit).frame.store(StagedFrame::not_held, std::memory_order_release);
}

StagedFrame Staging::frame_at(StagingUnit unit) const FAULTLINE_SIGNAL_SAFE {
    return entry_at(unit).frame.load(std::memory_order_acquire);
}

void Staging::forget_region(std::uint32_t region) noexcept {
    const std::size_t count = constructed_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        for (StagingBatch::Entry& entry : batch_at(i).entries) {
            std::uint64_t bits = entry.page.load(std::memory_order_acquire);
            // Only an entry that still names the region: the batch's owner may be storing another page there.
            if (core::PageRef::from(bits).region == region) entry.page.compare_exchange_strong(bits, 0);
        }
    }
}

}  // namespace faultline::pager
