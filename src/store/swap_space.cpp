#include "store/swap_space.hpp"

#include "core/check.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace faultline::store {
namespace {

// Half of what ext4 can hold in one file. Beyond that another file is opened. A larger region gets a file of its own.
constexpr std::uint64_t kFileBytes = std::uint64_t{8} << 40;

}  // namespace

/// The store of one region. Its destructor returns its part of the file.
class SwapSpace::Lease final : public LayeredStore {
public:
    Lease(SwapSpace& space, const std::shared_ptr<File>& file, std::uint64_t offset, std::uint64_t bytes,
          LayersPointer layers)
        : LayeredStore{SwapSpace::part_in(file, offset), std::move(layers)},
          space_{space},
          file_{file.get()},
          bytes_{bytes} {
        space_.leases_.insert(this);
    }
    ~Lease() override {
        file_->file.punch_now(top_offset(), bytes_);  // the map of layers, if any, is destroyed anyway
        space_.freed_in(file_->file);                 // for a MiB that this region was the last to use
        space_.give_back(*this);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        LayeredStore::discard(offset, bytes);
        space_.freed_in(file_->file);
    }

    void move_to(const std::shared_ptr<File>& file, std::uint64_t offset, LayersPointer fresh) noexcept {
        freeze(part_in(file, offset), std::move(fresh));
        file_ = file.get();
    }
    [[nodiscard]] File& file() const noexcept { return *file_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return top_offset(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    SwapSpace& space_;
    File* file_;  // the file of the top; the store keeps it open
    std::uint64_t bytes_;
};

/// The new location of each lease. The files of both sides have the same layout.
struct SwapSpace::Fork {
    struct Move {
        Lease* lease;
        std::size_t file;
        std::uint64_t offset;
        LayeredStore::LayersPointer layers;
    };
    Files parent;
    Files child;
    std::vector<Move> moves;
};

SwapSpace::SwapSpace(std::filesystem::path directory, const std::filesystem::path& file)
    : directory_{!directory.empty() ? std::move(directory)
                 : file.empty()     ? default_swap_directory()
                                    : std::filesystem::absolute(file).parent_path()} {
    files_.push_back(file.empty() ? open_file(layer_) : std::make_shared<File>(SwapFile::named(file), layer_));
}

SwapSpace::~SwapSpace() = default;

std::shared_ptr<SwapSpace::File> SwapSpace::open_file(std::uint64_t layer) const {
    return std::make_shared<File>(SwapFile::unnamed_in(directory_), layer);
}

FilePart SwapSpace::part_in(const std::shared_ptr<File>& file, std::uint64_t offset) noexcept {
    return {std::shared_ptr<BlockFile>{file, &file->file}, offset, file->layer};
}

std::unique_ptr<BackingStore> SwapSpace::open(std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "a region was opened during a fork");
    if (const std::shared_ptr<File> file = file_with_room(files_, bytes)) return lease(file, bytes);
    auto fresh = open_file(layer_);
    files_.reserve(files_.size() + 1);
    std::unique_ptr<Lease> leased =
        lease(fresh, bytes);  // throws if no file is large enough; then the new file is closed again
    files_.push_back(std::move(fresh));
    return leased;
}

std::unique_ptr<SwapSpace::Lease> SwapSpace::lease(const std::shared_ptr<File>& file, std::uint64_t bytes) {
    // A process that has forked may fork again: from then on each page is tracked, so that layers can be closed.
    LayeredStore::LayersPointer layers = layer_ > 0 ? LayeredStore::make_layers(bytes) : nullptr;
    return std::make_unique<Lease>(*this, file, take(*file, bytes), bytes, std::move(layers));
}

/// Returns a file with a hole that is large enough, else one with room at its end. Null: a new file is needed.
std::shared_ptr<SwapSpace::File> SwapSpace::file_with_room(const Files& files, std::uint64_t bytes) {
    for (const auto& file : files) {
        for (const auto& hole : file->holes) {
            if (hole.second >= bytes) return file;
        }
    }
    for (const auto& file : files) {
        if (file->end == 0 || (bytes <= kFileBytes && file->end <= kFileBytes - bytes)) return file;
    }
    return nullptr;
}

std::uint64_t SwapSpace::take(File& file, std::uint64_t bytes) {
    for (auto hole = file.holes.begin(); hole != file.holes.end(); ++hole) {
        if (hole->second < bytes) continue;
        const auto [offset, available] = *hole;
        file.holes.erase(hole);
        if (available > bytes) file.holes.emplace(offset + bytes, available - bytes);
        return offset;
    }
    file.file.extend_to(file.end + bytes);
    return std::exchange(file.end, file.end + bytes);
}

void SwapSpace::give_back(Lease& lease) {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "a region was destroyed during a fork");
    leases_.erase(&lease);
    File& file = lease.file();
    std::uint64_t offset = lease.offset();
    std::uint64_t bytes = lease.bytes();
    auto next = file.holes.upper_bound(offset);
    if (next != file.holes.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == offset) {
            offset = before->first;
            bytes += before->second;
            file.holes.erase(before);
        }
    }
    if (next != file.holes.end() && offset + bytes == next->first) {
        bytes += next->second;
        next = file.holes.erase(next);
    }
    if (offset + bytes == file.end) {
        file.end = offset;
    } else {
        file.holes.emplace(offset, bytes);
    }
}

std::uint64_t SwapSpace::room() noexcept {
    const std::lock_guard lock{mutex_};
    const SwapFile& file = files_.back()->file;
    const std::uint64_t free = file.free_space();
    return free + std::min(file.freed_bytes(), ~free);
}

// ---- Returning space

void SwapSpace::freed_in(SwapFile& file) FAULTLINE_SIGNAL_SAFE {
    if (!background_return_.load()) {
        while (file.punch_some()) {
        }
    } else if (file.worth_punching() && !space_to_return_.load()) {
        space_to_return_.store(true);
    }
}

void SwapSpace::return_some_space() {
    // Cleared first, so that space freed meanwhile is not missed.
    if (!space_to_return_.exchange(false)) return;
    const std::shared_ptr<File> file = file_to_punch();
    if (file != nullptr && file->file.punch_some()) space_to_return_.store(true);
}

/// Returns a file with something worth punching, or null.
std::shared_ptr<SwapSpace::File> SwapSpace::file_to_punch() {
    for (;;) {
        // Outlives the lock: this may be the last reference, and closing the file takes long.
        std::shared_ptr<File> frozen;
        const std::lock_guard lock{mutex_};
        for (const auto& file : files_) {
            if (file->file.worth_punching()) return file;
        }
        if (freed_before_fork_.empty()) return nullptr;
        frozen = freed_before_fork_.back();
        // Needed if a store of this process uses it. A store of the child uses it only if one of this process does.
        const bool needed = frozen.use_count() > 2;
        if (needed && frozen->file.worth_punching()) return frozen;
        freed_before_fork_.pop_back();
    }
}

void SwapSpace::prepare_fork() {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ == nullptr, "prepare_fork was called twice");
    for (Lease* const lease : leases_) lease->close_empty_layers();
    merge_layers();
    freed_before_fork_.reserve(freed_before_fork_.size() + files_.size());
    auto fork = std::make_unique<Fork>();
    fork->parent.push_back(open_file(layer_ + 1));
    for (Lease* const lease : leases_) plan_move(*fork, *lease);
    for (const auto& parents : fork->parent) {
        parents->file.extend_to(parents->end);
        auto& childs = fork->child.emplace_back(open_file(layer_ + 1));
        childs->file.extend_to(parents->end);
        childs->end = parents->end;
    }
    fork_ = std::move(fork);
}

/// Finds a location for the lease. Does not lengthen the file yet: once for all leases is enough.
void SwapSpace::plan_move(Fork& fork, Lease& lease) const {
    std::shared_ptr<File> file = file_with_room(fork.parent, lease.bytes());
    if (file == nullptr) file = fork.parent.emplace_back(open_file(layer_ + 1));
    const auto index = std::find(fork.parent.begin(), fork.parent.end(), file) - fork.parent.begin();
    fork.moves.push_back({&lease, static_cast<std::size_t>(index), file->end,
                          lease.needs_layers() ? LayeredStore::make_layers(lease.bytes()) : nullptr});
    file->end += lease.bytes();
}

/// Merges frozen layers when there are too many: each is an open file and a slot in each store. Merges those that hold
/// least. Copying the others again and again would cost much and free nothing: their pages are shared and only read.
void SwapSpace::merge_layers() {
    static_assert(kMostFrozen <= LayeredStore::kMostFrozen);
    std::map<std::uint64_t, std::uint64_t> units_of_layer;
    for (const Lease* const lease : leases_) lease->add_frozen_units(units_of_layer);
    if (units_of_layer.size() < kMostFrozen) return;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> by_units;
    by_units.reserve(units_of_layer.size());
    for (const auto& [layer, units] : units_of_layer) by_units.emplace_back(units, layer);
    std::sort(by_units.begin(), by_units.end());
    std::set<std::uint64_t> least;
    for (std::size_t i = 0; i < by_units.size() / 2; ++i) least.insert(by_units[i].second);
    for (Lease* const lease : leases_) lease->move_up(least);
}

void SwapSpace::continue_as(ForkSide side) noexcept {
    const std::lock_guard lock{mutex_};
    FAULTLINE_REQUIRE(fork_ != nullptr, "continue_as was called without prepare_fork");
    Files& files = side == ForkSide::parent ? fork_->parent : fork_->child;
    for (Fork::Move& move : fork_->moves) move.lease->move_to(files[move.file], move.offset, std::move(move.layers));
    freeze_files(side);
    files_ = std::move(files);
    ++layer_;
    fork_.reset();  // and with it the files of the other side
}

/// The parent keeps punching what it was about to punch. The child has copies of the lists and must not punch.
void SwapSpace::freeze_files(ForkSide side) noexcept {
    if (side == ForkSide::child) {
        freed_before_fork_.clear();
        space_to_return_.store(false);
        return;
    }
    if (!background_return_.load()) return;
    for (auto& file : files_) {
        if (file->file.worth_punching()) freed_before_fork_.push_back(file);  // prepare_fork has reserved the capacity
    }
    if (!freed_before_fork_.empty()) space_to_return_.store(true);
}

void SwapSpace::cancel_fork() noexcept {
    const std::lock_guard lock{mutex_};
    fork_.reset();
}

std::size_t SwapSpace::frozen_layers() {
    const std::lock_guard lock{mutex_};
    std::set<std::uint64_t> layers;
    for (const Lease* const lease : leases_) lease->list_frozen(layers);
    return layers.size();
}

}  // namespace faultline::store
