#include "run/tree_share.hpp"

#include <algorithm>

namespace faultline::run {
namespace {

constexpr std::uint64_t kLeastStep = std::uint64_t{1} << 20;
constexpr std::uint64_t kLeastFloor = std::uint64_t{2} << 20;
constexpr std::size_t kCheckedAtOnce = 8;  // entries; each costs reading a file of /proc

}  // namespace

std::uint64_t TreeShare::step() const noexcept { return std::max(memory_->tree.limit / 64, kLeastStep); }

/// Returns what a process has at least: half of an equal share, and not more than an eighth of all.
std::uint64_t TreeShare::floor(const Tree& tree) const noexcept {
    const std::uint64_t limit = memory_->tree.limit;
    return std::max(std::min(limit / 8, limit / (2 * std::max<std::uint64_t>(tree.processes, 1))), kLeastFloor);
}

TreeShare::Tree TreeShare::look() const noexcept {
    Tree tree;
    for (std::size_t i = 0; i < memory_->tree.entries.size(); ++i) {
        const TreeEntry& one = memory_->tree.entries[i];
        const std::uint64_t share = one.share.load();
        if (share == 0 && i != slot_) continue;
        ++tree.processes;
        tree.shares += share;
        if (i != slot_) tree.most_wanted = std::max(tree.most_wanted, one.wants.load());
        tree.taken.managed += one.managed.load();
        tree.taken.compressed += one.compressed.load();
        tree.taken.other += one.other.load();
    }
    return tree;
}

/// Clears entries whose owners have ended, of `most` that are in use.
void TreeShare::clear_ended(std::size_t most) noexcept {
    for (std::size_t looked = 0; looked < kStatusSlots && most > 0; ++looked) {
        const std::size_t i = next_checked_ = (next_checked_ + 1) % kStatusSlots;
        TreeEntry& one = memory_->tree.entries[i];
        if (i == slot_ || one.share.load() == 0) continue;
        --most;
        const StatusSlot& slot = memory_->slots[i];
        const SlotReading reading = read_slot(slot);
        if (reading.owner == StatusSlot::kFree || has_ended(slot, reading)) one.clear();
    }
}

std::uint64_t TreeShare::next(const Need& need) noexcept {
    announce(need.taken);
    TreeEntry& own = entry();
    own.wants.store(need.wants);
    Tree tree = look();
    const std::uint64_t limit = memory_->tree.limit;
    const bool is_new = share() == 0;
    if (is_new || tree.shares + step() > limit) {
        clear_ended(is_new ? kStatusSlots : kCheckedAtOnce);
        tree = look();
    }
    contended_ = need.wants > 0 || tree.most_wanted > 0 || tree.shares > limit;
    raise_peak();
    const std::uint64_t free = limit - std::min(limit, tree.shares);
    if (is_new) {
        // The floor in any case. Of the rest a part stays free for the next process.
        own.share.store(std::max(floor(tree), free - std::min(free, limit / 8)));
        return share();
    }
    if (tree.shares > limit) return shrunk(tree, need);
    if (need.wants > 0 && free > 0) return grown(free);
    if (tree.most_wanted > 0 && free < step()) return shrunk(tree, need);
    return share();
}

/// Takes half of what is free, at least a step. Gives it back at once if other processes have taken it meanwhile.
std::uint64_t TreeShare::grown(std::uint64_t free) noexcept {
    const std::uint64_t more = std::min(free, std::max(free / 2, step()));
    entry().share.fetch_add(more);
    if (look().shares > memory_->tree.limit) entry().share.fetch_sub(more);
    return share();
}

/// Returns a smaller share: this process's part of what the tree has too much, or what another process needs more. A
/// process that wants no memory keeps what it has taken; the floor is for those that do.
std::uint64_t TreeShare::shrunk(const Tree& tree, const Need& need) const noexcept {
    const std::uint64_t now = share();
    const std::uint64_t enough = need.wants > 0 ? floor(tree) : need.taken.sum() + step();
    const std::uint64_t least = std::min({floor(tree), enough, now});
    const std::uint64_t limit = memory_->tree.limit;
    std::uint64_t less = 0;
    if (tree.shares > limit) {
        const auto part = static_cast<double>(now) / static_cast<double>(tree.shares);
        less = static_cast<std::uint64_t>(part * static_cast<double>(tree.shares - limit)) + (std::uint64_t{64} << 10);
    } else if (const std::uint64_t taken = need.taken.sum(); now > taken + step()) {
        less = (now - taken) / 2;
    } else if (tree.most_wanted > 2 * need.wants) {
        less = step();
    }
    return std::max(now - std::min(now, less), least);
}

void TreeShare::give_back(std::uint64_t share) noexcept { entry().share.store(share); }

void TreeShare::announce(const TreePeak& taken) noexcept {
    entry().managed.store(taken.managed);
    entry().compressed.store(taken.compressed);
    entry().other.store(taken.other);
}

void TreeShare::note(const TreePeak& taken) noexcept {
    announce(taken);
    raise_peak();
}

/// Raises the peak of the tree to what its processes have now. Processes that have ended do not count.
void TreeShare::raise_peak() noexcept {
    auto& tree = memory_->tree;
    if (look().taken.sum() <= tree.peak.load()) return;
    clear_ended(kStatusSlots);
    const TreePeak taken = look().taken;
    std::uint64_t peak = tree.peak.load();
    while (taken.sum() > peak) {
        if (!tree.peak.compare_exchange_weak(peak, taken.sum())) continue;
        tree.peak_managed.store(taken.managed);
        tree.peak_compressed.store(taken.compressed);
        return;
    }
}

}  // namespace faultline::run
