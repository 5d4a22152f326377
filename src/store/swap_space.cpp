#include "store/swap_space.hpp"

#include "core/check.hpp"
#include "store/read_rings.hpp"
#include "store/slot_writer.hpp"
#include "sys/error.hpp"
#include "sys/mapping.hpp"
#include "sys/signal_block.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

namespace faultline::store {
namespace {

constexpr std::uint64_t kChunkBytes = std::uint64_t{SlotChunk::kSlots} << core::kUnitShift;

/// The bytes of slots for stores of `bytes`: chunks serve pages of one size each, so some may be nearly empty.
constexpr std::uint64_t slots_for(std::uint64_t bytes) noexcept {
    return 2 * bytes + SlotAllocator::kSizeClasses * kChunkBytes;
}

}  // namespace

/// The store of one region. Its destructor tells the space.
class SwapSpace::OpenStore final : public SwapStore {
public:
    OpenStore(SwapSpace& owner, std::uint64_t bytes, std::size_t page_bytes, std::uint64_t reserved)
        : SwapStore{owner.space_, bytes, page_bytes}, owner_{owner}, bytes_{bytes}, reserved_{reserved} {
        owner_.stores_.insert(this);
    }
    ~OpenStore() override {
        const sys::SignalBlock no_signals;
        owner_.require_sound_if_last(*this);
        OpenStore::discard(0, bytes_);
        owner_.closed(*this, reserved_);
    }
    OpenStore(const OpenStore&) = delete;
    OpenStore& operator=(const OpenStore&) = delete;

    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        SwapStore::discard(offset, bytes);
        owner_.punch_unless_in_background();
    }

private:
    SwapSpace& owner_;
    std::uint64_t bytes_;
    std::uint64_t reserved_;
};

/// What the two processes need after a fork. If no slot of the current file is used, nothing is frozen: the parent
/// keeps the file, and the child continues with the same shelves in a file of its own.
struct SwapSpace::Fork {
    [[nodiscard]] bool freezes() const noexcept { return !new_shelves.empty(); }

    DevicePointer parent;
    DevicePointer child;
    std::vector<std::unique_ptr<SlotShelf>> new_shelves;  // as many as will be frozen
    std::vector<std::uint32_t> list;                      // with room for all shelves
};

SwapSpace::SwapSpace(std::filesystem::path directory, const std::filesystem::path& file, std::size_t compressed_limit,
                     std::size_t most_compressed)
    : directory_{!directory.empty() ? std::move(directory)
                 : file.empty()     ? default_swap_directory()
                                    : std::filesystem::absolute(file).parent_path()},
      space_{std::max(compressed_limit, most_compressed), compressed_limit, &records()},
      of_program_{false},
      device_{open_first_file(file)} {}

SwapSpace::SwapSpace(std::shared_ptr<SlotDevice> device, std::size_t compressed_limit, std::size_t most_compressed)
    : directory_{default_swap_directory()},
      space_{std::max(compressed_limit, most_compressed), compressed_limit, &records()},
      of_program_{true},
      device_{std::move(device)} {}

SwapSpace::~SwapSpace() {
    require_sound();
    if (!of_program_) return;  // the space of a file is freed with it
    const sys::SignalBlock no_signals;
    while (space_.slots().punch_any()) {
    }
}

/// Opens the first file, and meanwhile the rings of this process: both wait. Without rings, reads are made one after
/// the other.
std::shared_ptr<SwapFile> SwapSpace::open_first_file(const std::filesystem::path& file) {
    std::optional<ReadRings::Opening> rings;
    try {
        rings.emplace(ReadRings::of_process());
    } catch (const std::system_error&) {
        rings.reset();  // no thread can be started
    }
    if (!file.empty()) return std::make_shared<SwapFile>(SwapFile::named(file));
    return open_file();
}

/// The first file of a directory finds out whether files there can bypass the page cache.
std::shared_ptr<SwapFile> SwapSpace::open_file() {
    if (direct_in_directory_) {
        return std::make_shared<SwapFile>(SwapFile::unnamed_in(directory_, *direct_in_directory_));
    }
    auto file = std::make_shared<SwapFile>(SwapFile::unnamed_in(directory_));
    direct_in_directory_ = file->direct();
    return file;
}

// ---- Stores

std::unique_ptr<BackingStore> SwapSpace::open(std::uint64_t bytes) { return open_for_pages(bytes, core::kUnitBytes); }

std::unique_ptr<BackingStore> SwapSpace::open_for_pages(std::uint64_t bytes, std::size_t page_bytes) {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "a region was opened during a fork");
    ensure_shelves(reserved_ + bytes);
    auto store = std::make_unique<OpenStore>(*this, bytes, page_bytes, bytes);
    reserved_ += bytes;
    return store;
}

std::unique_ptr<BackingStore> SwapSpace::open_window(std::uint64_t bytes, std::size_t page_bytes) {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "a region was opened during a fork");
    return std::make_unique<OpenStore>(*this, bytes, page_bytes, 0);
}

void SwapSpace::reserve(std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "a part of a window was opened during a fork");
    ensure_shelves(reserved_ + bytes);
    reserved_ += bytes;
}

void SwapSpace::unreserve(std::uint64_t bytes) noexcept {
    const std::lock_guard lock{mutex_};
    reserved_ -= bytes;
}

void SwapSpace::closed(SwapStore& store, std::uint64_t bytes) noexcept {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "a region was destroyed during a fork");
    stores_.erase(&store);
    reserved_ -= bytes;
}

void SwapSpace::write(std::span<StoreWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    SlotWriter{space_}.write(writes, queue);
}

/// Adds shelves until stores of `bytes` fit, as far as their pages can all leave memory: they need room on the disk, or
/// in compressed memory. What does not fit the table of slots, 16 TiB, is not used at the same time in any case.
void SwapSpace::ensure_shelves(std::uint64_t bytes) {
    bytes = std::min(bytes, most_useful_bytes());
    // The size of a store is fixed. As with a disk that is too small, a page that finds it full stays in memory.
    if (of_program_) bytes = std::min(bytes, device_->most_bytes() / kChunkBytes * kChunkBytes - kChunkBytes);
    const std::uint64_t begin = space_.allocator().capacity_bytes();
    if (begin >= slots_for(bytes)) return;
    const std::uint64_t wanted = (slots_for(bytes) - begin + SlotShelf::kBytes - 1) / SlotShelf::kBytes;
    const std::uint64_t size_limit = device_->most_bytes();
    const std::uint64_t shelves = std::min(
        {wanted, size_limit / SlotShelf::kBytes + 1, std::uint64_t{space_.table().room(SlotTable::kMostShelves)}});
    if (shelves == 0) return;
    const auto memory = std::make_shared<ShelfMemory>(shelves);
    if (begin + shelves * SlotShelf::kBytes <= size_limit) device_->extend_to(begin + shelves * SlotShelf::kBytes);
    for (std::uint64_t i = 0; i < shelves; ++i) {
        const std::uint64_t have = space_.allocator().capacity_bytes();
        const std::uint64_t least = have < bytes + kChunkBytes ? bytes + kChunkBytes - have : 0;
        if (!add_shelf(memory, least, size_limit)) return;
    }
}

/// Returns how many bytes of pages the file system and the compressed memory can hold.
std::uint64_t SwapSpace::most_useful_bytes() const noexcept {
    constexpr std::uint64_t kMostCompression = 128;  // LZ4 makes at least 32 bytes of 4,096, and an entry takes 16
    const std::uint64_t on_disk = device_->medium_bytes();
    const std::uint64_t in_memory = kMostCompression * space_.pool().capacity();
    return on_disk + std::min(in_memory, ~on_disk);
}

/// Adds a shelf at the end of the file, of at most `limit` bytes. Returns false if there are enough: the file may not
/// be longer, or the table is full. Throws std::system_error if the file cannot hold `least_bytes` more.
bool SwapSpace::add_shelf(const std::shared_ptr<ShelfMemory>& memory, std::uint64_t least_bytes, std::uint64_t limit) {
    auto shelf = std::make_unique<SlotShelf>(memory, space_.records());
    const std::uint64_t begin = space_.allocator().capacity_bytes();
    std::uint64_t end = begin + SlotShelf::kBytes;
    if (end > limit) {
        end = std::max(limit, begin) / kChunkBytes * kChunkBytes;
        if (end < begin + std::min(least_bytes, SlotShelf::kBytes)) device_->extend_to(begin + least_bytes);  // throws
        if (end == begin) return false;
    }
    device_->extend_to(end);
    place(*shelf, device_, begin);
    const std::uint32_t number = space_.table().add(std::move(shelf));
    if (number != 0) space_.allocator().add_shelf(number);
    return number != 0;
}

/// Makes a shelf a part of a device.
void SwapSpace::place(SlotShelf& shelf, const DevicePointer& device, std::uint64_t offset) noexcept {
    shelf.device = device;
    shelf.file_offset = offset;
    const std::uint64_t bytes = device->length() - std::min(offset, device->length());
    shelf.usable_chunks = static_cast<std::uint32_t>(std::min(bytes, SlotShelf::kBytes) / kChunkBytes);
}

std::uint64_t SwapSpace::room() noexcept {
    const std::lock_guard lock{mutex_};
    const std::uint64_t free = device_->free_space();
    return free + std::min(space_.allocator().waste_bytes(), ~free);
}

// ---- Returning space

void SwapSpace::punch_unless_in_background() FAULTLINE_SIGNAL_SAFE {
    if (background_return_.load(std::memory_order_relaxed)) return;
    while (space_.slots().punch_some()) {
    }
}

void SwapSpace::return_some_space() {
    const sys::SignalBlock no_signals;
    static_cast<void>(space_.slots().punch_some());
}

// ---- Fork

void SwapSpace::prepare_fork(WriteQueue& queue) {
    if (of_program_) StoreFactory::prepare_fork(queue);  // throws
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "prepare_fork was called twice");
    spill_all(queue);
    drop_unused_shelves();
    merge_frozen_files();
    spill_all(queue);  // what was moved may be in memory
    const sys::SignalBlock no_signals;
    while (space_.slots().punch_some()) {
    }
    space_.slots().give_back_preallocated();
    require_sound();
    auto fork = std::make_unique<Fork>();
    std::size_t shelves = 0;
    space_.table().for_each([&](std::uint32_t, const SlotShelf& shelf) {
        if (shelf.frozen) return;
        ++shelves;
        if (shelf.allotted.load() > 0) fork->new_shelves.push_back(std::make_unique<SlotShelf>(space_.records()));
    });
    if (space_.table().room(fork->new_shelves.size()) < fork->new_shelves.size()) {
        sys::throw_error(ENOMEM, "the table of swap slots is full: too many forks with swapped pages");
    }
    if (fork->freezes()) fork->list.reserve(shelves);
    fork->parent = fork->freezes() ? open_file_like(*device_) : device_;
    fork->child = open_file_like(*device_);
    fork_ = std::move(fork);
}

SwapSpace::DevicePointer SwapSpace::open_file_like(const SlotDevice& other) {
    DevicePointer file = open_file();
    file->extend_to(other.length());
    return file;
}

void SwapSpace::spill_all(WriteQueue& queue) {
    if (memory_used() == 0) return;
    const sys::SignalBlock no_signals;  // the pool's locks belong to the fault path
    if (const int error = space_.pool().spill_all(queue)) {
        sys::throw_error(error, "cannot write compressed pages to the swap file before fork");
    }
}

/// Removes frozen shelves without a used slot, and so closes files of which there is no other shelf.
void SwapSpace::drop_unused_shelves() {
    space_.table().for_each([this](std::uint32_t number, const SlotShelf& shelf) {
        if (shelf.frozen && space_.allocator().is_unused(shelf)) static_cast<void>(space_.table().remove(number));
    });
}

/// Moves pages out of frozen files when there are too many, since each is an open descriptor. It moves those of the
/// files that hold least: to copy the others again and again would cost much.
void SwapSpace::merge_frozen_files() {
    std::map<const SlotDevice*, std::uint64_t> slots_of_file;
    space_.table().for_each([&](std::uint32_t, const SlotShelf& shelf) {
        if (shelf.frozen) slots_of_file[shelf.device.get()] += shelf.allotted.load();
    });
    if (slots_of_file.size() < kMostFrozen) return;
    std::vector<std::pair<std::uint64_t, const SlotDevice*>> by_slots;
    by_slots.reserve(slots_of_file.size());
    for (const auto& [file, slots] : slots_of_file) by_slots.emplace_back(slots, file);
    std::sort(by_slots.begin(), by_slots.end());
    std::set<const SlotDevice*> least;
    for (std::size_t i = 0; i < by_slots.size() / 2; ++i) least.insert(by_slots[i].second);
    move_pages_of(least);
    drop_unused_shelves();
}

/// Moves the pages in `files` to the current file. A page that several stores share stays shared. A page that cannot be
/// read stays where it is.
void SwapSpace::move_pages_of(const std::set<const SlotDevice*>& files) {
    const sys::Mapping buffer = sys::Mapping::reserve(kChunkBytes, core::kUnitBytes, true, "a copy buffer");
    std::map<SlotNumber, SlotNumber> moved;
    for (SwapStore* const store : stores_) {
        const std::size_t page_bytes = std::size_t{store->shape().units} << core::kUnitShift;
        const std::span<std::byte> bytes = buffer.bytes().first(page_bytes);
        store->for_each_page([&](std::uint64_t page, SlotNumber first) {
            if (!files.contains(&space_.table().device_of(first))) return;
            const sys::SignalBlock no_signals;
            if (const auto found = moved.find(first); found != moved.end()) {
                space_.table().add_user(found->second);
                store->move_page(page, found->second);
                return;
            }
            const bool shared = space_.table().users(first) > 1;
            if (store->read(page * page_bytes, bytes) != 0) return;
            if (const int error = store->write(page * page_bytes, bytes)) {
                sys::throw_error(error, "cannot move pages from an older swap file to the current one");
            }
            if (shared) moved.emplace(first, store->location_of(page));
        });
    }
}

void SwapSpace::continue_as(ForkSide side) noexcept {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ != nullptr, "continue_as was called without prepare_fork");
    device_ = side == ForkSide::parent ? fork_->parent : fork_->child;
    if (fork_->freezes()) {
        freeze_shelves();
    } else {
        use_file_for_shelves();
    }
    fork_.reset();  // and with it the file of the other side
}

/// Freezes the shelves that have pages, and puts new ones and those without pages into the current file.
void SwapSpace::freeze_shelves() noexcept {
    SlotTable& table = space_.table();
    std::vector<std::uint32_t> unused = space_.allocator().freeze(std::move(fork_->list));
    std::uint64_t offset = 0;
    const auto use = [&](std::uint32_t number) {
        place(*table.shelf(number), device_, offset);
        offset += SlotShelf::kBytes;
        space_.allocator().add_shelf(number);
    };
    for (const std::uint32_t number : unused) use(number);
    for (std::unique_ptr<SlotShelf>& fresh : fork_->new_shelves) use(table.add(std::move(fresh)));
}

/// Puts the shelves that are written to, none of which has a page, into the current file.
void SwapSpace::use_file_for_shelves() noexcept {
    space_.table().for_each([this](std::uint32_t, SlotShelf& shelf) {
        if (!shelf.frozen) shelf.device = device_;
    });
}

void SwapSpace::speed_up_reads() noexcept {
    try {
        ReadRings::of_process().open();
    } catch (const std::system_error&) {
        return;
    }
}

void SwapSpace::cancel_fork() noexcept {
    const std::lock_guard lock{mutex_};
    fork_.reset();
}

std::size_t SwapSpace::frozen_files() {
    const std::lock_guard lock{mutex_};
    std::set<const SlotDevice*> files;
    space_.table().for_each([&](std::uint32_t, const SlotShelf& shelf) {
        if (shelf.frozen && !space_.allocator().is_unused(shelf)) files.insert(shelf.device.get());
    });
    return files.size();
}

}  // namespace faultline::store
