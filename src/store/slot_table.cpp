#include "store/slot_table.hpp"

#include <utility>

namespace faultline::store {

namespace {

constexpr std::size_t kShelfBytes = decltype(SlotShelf::words)::bytes_for(SlotShelf::kSlots) +
                                    decltype(SlotShelf::more_users)::bytes_for(SlotShelf::kSlots) +
                                    decltype(SlotShelf::notes)::bytes_for(SlotShelf::kSlots) +
                                    decltype(SlotShelf::chunks)::bytes_for(SlotShelf::kChunks) +
                                    decltype(SlotShelf::preallocated)::bytes_for(SlotShelf::kChunks);

}  // namespace

ShelfMemory::ShelfMemory(std::size_t shelves) : memory_{shelves * kShelfBytes, "a table of swap slots"} {}

sys::Mapping ShelfMemory::take() noexcept { return memory_.take(kShelfBytes); }

SlotShelf::SlotShelf(std::shared_ptr<ShelfMemory> of_several, core::RecordMemory* records)
    : shared{std::move(of_several)},
      memory{shared->take()},
      words{kSlots, memory},
      more_users{kSlots, memory},
      notes{kSlots, memory},
      chunks{kChunks, memory},
      preallocated{kChunks, memory},
      charge{records} {}

SlotTable::~SlotTable() {
    for_each([this](std::uint32_t number, SlotShelf&) { static_cast<void>(remove(number)); });
}

std::uint32_t SlotTable::add(std::unique_ptr<SlotShelf> shelf) {
    std::uint32_t number = 1;
    while (number < kMostShelves && shelves_[number].load() != nullptr) ++number;
    if (number == kMostShelves) return 0;
    shelves_[number].store(shelf.release(), std::memory_order_release);
    if (number >= most_) most_ = number + 1;
    return number;
}

std::size_t SlotTable::room(std::size_t wanted) const noexcept {
    std::size_t free = 0;
    for (std::uint32_t number = 1; number < kMostShelves && free < wanted; ++number) {
        if (shelves_[number].load() == nullptr) ++free;
    }
    return free;
}

std::unique_ptr<SlotShelf> SlotTable::remove(std::uint32_t number) noexcept {
    return std::unique_ptr<SlotShelf>{shelves_[number].exchange(nullptr)};
}

bool SlotTable::drop_user(SlotNumber first) const FAULTLINE_SIGNAL_SAFE {
    std::atomic<std::uint32_t>& more = more_users(first);
    std::uint32_t seen = more.load();
    while (seen > 0) {
        if (more.compare_exchange_weak(seen, seen - 1)) return false;
    }
    return true;
}

}  // namespace faultline::store
