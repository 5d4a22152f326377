#include "fake_mapper.hpp"

#include "bytes.hpp"
#include "chance.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <thread>
#include <utility>

namespace faultline::test {

using core::kUnitBytes;
using mmu::Protection;

namespace {

// Fills forgotten frames and slots, in place of zeros: no thread may read it.
constexpr int kForgotten = 0xdd;

/// Locks one unit. It orders threads on the same unit only: all other order must come from the pager.
template <typename Unit>
class Held {
public:
    explicit Held(Unit& unit) noexcept : unit_{unit} {
        while (unit_.locked.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    }
    ~Held() { unit_.locked.store(false, std::memory_order_release); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

private:
    Unit& unit_;
};

}  // namespace

FakeMapper::FakeMapper(Traits traits, std::shared_ptr<MmuRecord> record)
    : traits_{traits}, record_{std::move(record)} {}

FakeMapper::~FakeMapper() {
    for (std::size_t i = 0; i < region_count_.load(); ++i) delete regions_[i].load();
}

// ---- the CPU's side

MmuAnswer FakeMapper::load(const std::byte* address, std::uint64_t& word) {
    Unit& unit = unit_at(core::address_of(address));
    const Held held{unit};
    if (unit.view == View::poisoned) return MmuAnswer::bus_error;
    if (unit.view != View::writable && unit.view != View::read_only) return MmuAnswer::fault;
    std::memcpy(&word, unit.bytes.data() + core::address_of(address) % kUnitBytes, sizeof word);
    return MmuAnswer::done;
}

MmuAnswer FakeMapper::store(std::byte* address, std::uint64_t word) {
    Unit& unit = unit_at(core::address_of(address));
    const Held held{unit};
    if (unit.view == View::poisoned) return MmuAnswer::bus_error;
    if (unit.view != View::writable) return MmuAnswer::fault;
    std::memcpy(unit.bytes.data() + core::address_of(address) % kUnitBytes, &word, sizeof word);
    return MmuAnswer::done;
}

unsigned FakeMapper::wakes(const std::byte* address) { return unit_at(core::address_of(address)).wakes.load(); }

void FakeMapper::sleep(const std::byte* address, unsigned seen) { unit_at(core::address_of(address)).wakes.wait(seen); }

// ---- regions and slots

void FakeMapper::watch_region(void* address, std::size_t bytes) {
    // One call at a time: the pager holds its control mutex.
    const std::size_t index = region_count_.load();
    if (index == kMostRegions) throw std::bad_alloc{};
    auto region = std::make_unique<Watched>();
    region->begin = core::address_of(address);
    region->units = bytes / kUnitBytes;
    region->unit = std::make_unique<Unit[]>(region->units);
    regions_[index].store(region.release());
    region_count_.store(index + 1);
}

void FakeMapper::empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    for_units(address, bytes, [&](Unit& unit, std::size_t) {
        if (unit.view == View::writable || unit.view == View::read_only || unit.view == View::hidden) give_frame();
        unit.view = View::absent;
        fill_bytes(unit.bytes.data(), kForgotten, kUnitBytes);
    });
}

void FakeMapper::unwatch_region(void* address) noexcept {
    for (std::size_t i = 0; i < region_count_.load(); ++i) {
        Watched& region = *regions_[i].load();
        if (region.begin != core::address_of(address) || region.gone.load()) continue;
        for (std::size_t unit = 0; unit < region.units; ++unit) {
            if (region.unit[unit].view != View::absent) broken("a region goes that was not emptied");
        }
        region.gone.store(true);
        return;
    }
    broken("a region goes that is not watched");
}

void FakeMapper::watch_staging(void* address, std::size_t bytes) {
    staging_begin_ = core::address_of(address);
    staging_units_ = bytes / kUnitBytes;
    slots_ = std::make_unique<std::atomic<bool>[]>(staging_units_);
}

FakeMapper::Unit* FakeMapper::find(std::uintptr_t address) const noexcept {
    for (std::size_t i = region_count_.load(std::memory_order_acquire); i > 0; --i) {
        Watched& region = *regions_[i - 1].load(std::memory_order_acquire);
        if (region.gone.load(std::memory_order_acquire) || address < region.begin) continue;
        const std::size_t unit = (address - region.begin) / kUnitBytes;
        if (unit < region.units) return &region.unit[unit];
    }
    return nullptr;
}

FakeMapper::Unit& FakeMapper::unit_at(std::uintptr_t address) noexcept {
    Unit* const unit = find(address);
    if (unit != nullptr) return *unit;
    broken("a page is named that belongs to no region");
    static Unit nowhere;
    return nowhere;
}

template <typename Visit>
void FakeMapper::for_units(const void* page, std::size_t bytes, Visit visit) noexcept {
    if (core::address_of(page) % kUnitBytes != 0 || bytes % kUnitBytes != 0) broken("a range is not aligned");
    for (std::size_t offset = 0; offset < bytes; offset += kUnitBytes) {
        Unit& unit = unit_at(core::address_of(page) + offset);
        const Held held{unit};
        visit(unit, offset);
    }
}

bool FakeMapper::in_staging(std::uintptr_t address) const noexcept {
    return address >= staging_begin_ && address < staging_begin_ + staging_units_ * kUnitBytes;
}

std::atomic<bool>& FakeMapper::slot_in_use(std::uintptr_t slot) noexcept {
    return slots_[(slot - staging_begin_) / kUnitBytes];
}

/// Overwrites the slot. ThreadSanitizer reports a thread that still reads it.
void FakeMapper::scribble_slot(std::byte* slot, bool must_hold) noexcept {
    const bool held = slot_in_use(core::address_of(slot)).exchange(false, std::memory_order_relaxed);
    if (must_hold && !held) broken("a slot is taken back that holds nothing");
    fill_bytes(slot, kForgotten, kUnitBytes);
    if (held) give_frame();
}

// ---- the pager's side

int FakeMapper::install(void* page, const void* from, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    if (const int error = installs_.before(static_cast<std::byte*>(page), protection)) return error;
    for_units(page, bytes, [&](Unit& unit, std::size_t offset) {
        if (unit.view != View::absent) broken("a page is installed where something is");
        copy_bytes(unit.bytes.data(), static_cast<const std::byte*>(from) + offset, kUnitBytes);
        unit.view = protection == Protection::writable ? View::writable : View::read_only;
        take_frame();
    });
    installs_.after(static_cast<std::byte*>(page), protection);
    return 0;
}

int FakeMapper::make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    for_units(page, bytes, [&](Unit& unit, std::size_t) {
        if (unit.view != View::read_only) broken("writes are allowed to what is not mapped write-protected");
        unit.view = View::writable;
    });
    return 0;
}

bool FakeMapper::is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    bool all = !frames_stay();
    for (std::size_t offset = 0; all && offset < bytes; offset += kUnitBytes) {
        Unit* const unit = find(core::address_of(page) + offset);
        if (unit == nullptr) return false;
        const Held held{*unit};
        all = unit->view == View::read_only || unit->view == View::writable;
    }
    return all;
}

int FakeMapper::restore(void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    for_units(page, bytes, [&](Unit& unit, std::size_t) {
        if (unit.view != View::read_only && unit.view != View::writable) broken("what is not mapped is restored");
        if (dirty && !carries_no_writes(access)) unit.view = View::writable;
    });
    return 0;
}

int FakeMapper::write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    for_units(page, bytes, [&](Unit& unit, std::size_t) {
        if (unit.view != View::read_only && unit.view != View::writable) broken("what is not mapped is protected");
        unit.view = View::read_only;
    });
    return 0;
}

mmu::Staged FakeMapper::stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                              Protection protection) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    for (std::size_t i = 0; i < pages; ++i) {
        if (!stage_page(core::address_of(page) + i * page_bytes, static_cast<std::byte*>(slot) + i * page_bytes,
                        page_bytes, protection)) {
            return {i, EBUSY};
        }
    }
    return {pages, 0};
}

/// Returns false if refused. The first half of a write-protected page is in its slot then.
bool FakeMapper::stage_page(std::uintptr_t page, std::byte* slot, std::size_t bytes, Protection protection) noexcept {
    const bool refused = !frames_stay() && chance(traits_.refusals);
    if (refused && protection == Protection::writable) return false;
    const std::size_t end = refused ? core::align_down(bytes / 2, kUnitBytes) : bytes;
    for (std::size_t offset = 0; offset < end; offset += kUnitBytes) {
        Unit& unit = unit_at(page + offset);
        const Held held{unit};
        if (unit.view != View::read_only && unit.view != View::writable) broken("what is not mapped is staged");
        if (protection == Protection::write_protected && unit.view == View::writable) {
            broken("a page is staged as write-protected that can be written to");
        }
        if (frames_stay()) {
            unit.view = View::hidden;
            continue;
        }
        if (slot_in_use(core::address_of(slot) + offset).exchange(true, std::memory_order_relaxed)) {
            broken("a page is staged in a slot that is in use");
        }
        copy_bytes(slot + offset, unit.bytes.data(), kUnitBytes);
        unit.view = View::absent;
        fill_bytes(unit.bytes.data(), kForgotten, kUnitBytes);
    }
    return !refused;
}

bool FakeMapper::should_unstage(bool writable, bool in_use) const FAULTLINE_SIGNAL_SAFE {
    return frames_stay() || (traits_.frames == StagedFrames::move && writable && !in_use);
}

int FakeMapper::unstage(void* slot, void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    for_units(page, bytes, [&](Unit& unit, std::size_t offset) {
        if (unit.view != (frames_stay() ? View::hidden : View::absent)) broken("a page is put back where it is not");
        const bool writable = !frames_stay() || (dirty && !carries_no_writes(access));
        unit.view = writable ? View::writable : View::read_only;
        if (frames_stay()) return;
        std::byte* const from = static_cast<std::byte*>(slot) + offset;
        copy_bytes(unit.bytes.data(), from, kUnitBytes);
        // The frame was counted in its slot until now, and is never counted twice.
        record_->frames.fetch_add(1, std::memory_order_relaxed);
        scribble_slot(from, true);
    });
    return 0;
}

const std::byte* FakeMapper::mapped_bytes(const void* page, void* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    for_units(page, bytes, [&](Unit& unit, std::size_t offset) {
        if (unit.view != View::read_only && unit.view != View::writable) broken("what is not mapped is read");
        copy_bytes(static_cast<std::byte*>(slot) + offset, unit.bytes.data(), kUnitBytes);
    });
    return static_cast<const std::byte*>(slot);
}

const std::byte* FakeMapper::staged_bytes(const void* page, void* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    if (frames_stay()) {
        for_units(page, bytes, [&](Unit& unit, std::size_t offset) {
            copy_bytes(static_cast<std::byte*>(slot) + offset, unit.bytes.data(), kUnitBytes);
        });
    }
    return static_cast<const std::byte*>(slot);
}

void FakeMapper::release_copies(void* slots, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (frames_stay()) fill_bytes(slots, kForgotten, bytes);
}

void FakeMapper::drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    record_->drop_calls.fetch_add(1);
    record_->dropped_ranges.fetch_add(ranges.size());
    for (const iovec& range : ranges) empty_region(range.iov_base, range.iov_len);
}

void FakeMapper::drop_slots(std::span<const iovec> slots) FAULTLINE_SIGNAL_SAFE {
    dawdle();
    if (frames_stay()) return;  // no slot holds a frame
    for (const iovec& range : slots) {
        for (std::size_t offset = 0; offset < range.iov_len; offset += kUnitBytes) {
            scribble_slot(static_cast<std::byte*>(range.iov_base) + offset, false);
        }
    }
}

int FakeMapper::poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    for_units(page, bytes, [&](Unit& unit, std::size_t) {
        if (unit.view != View::absent) broken("a page is poisoned that is not absent");
        unit.view = View::poisoned;
    });
    return 0;
}

void FakeMapper::wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t offset = 0; offset < bytes; offset += kUnitBytes) {
        Unit& unit = unit_at(core::address_of(page) + offset);
        unit.wakes.fetch_add(1);
        unit.wakes.notify_all();
    }
}

Eviction FakeMapper::eviction() const noexcept {
    if (frames_stay()) return Eviction::protect;
    return traits_.frames == StagedFrames::move ? Eviction::move : Eviction::copy;
}

bool FakeMapper::short_of_mappings() const FAULTLINE_SIGNAL_SAFE { return chance(traits_.shortages); }

/// Returns any page: the pager asks the page's word whether it can be evicted.
std::size_t FakeMapper::fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE {
    const std::size_t count = region_count_.load();
    if (count == 0 || runs.empty()) return 0;
    const Watched& region = *regions_[0].load();
    if (region.gone.load()) return 0;
    static thread_local std::minstd_rand random{std::random_device{}()};
    runs[0] = {reinterpret_cast<void*>(region.begin + random() % region.units * kUnitBytes), kUnitBytes};
    return 1;
}

// ---- the record

void FakeMapper::take_frame() noexcept {
    const std::int64_t now = record_->frames.fetch_add(1, std::memory_order_relaxed) + 1;
    std::int64_t most = record_->most_frames.load(std::memory_order_relaxed);
    while (now > most && !record_->most_frames.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
}

void FakeMapper::give_frame() noexcept { record_->frames.fetch_sub(1, std::memory_order_relaxed); }

void FakeMapper::broken(const char* promise) noexcept {
    if (record_->broken_promises.fetch_add(1) < 10) static_cast<void>(std::fprintf(stderr, "mapper: %s\n", promise));
}

}  // namespace faultline::test
