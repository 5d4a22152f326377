// TreeShare: one process's part of the memory of a tree of processes (tree_memory.hpp). The rule by which it grows and
// shrinks; MemoryKeeper measures, and holds the process to the share.
#pragma once

#include "run/status_layout.hpp"
#include "run/tree_memory.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::run {

/// For one thread at a time. Allocates nothing, waits for nothing.
class TreeShare {
public:
    /// No memory to share.
    TreeShare() noexcept = default;
    /// The share of the owner of `slot`. Nothing is taken yet.
    TreeShare(StatusMemory& memory, std::size_t slot) noexcept : memory_{&memory}, slot_{slot} {}

    explicit operator bool() const noexcept { return memory_ != nullptr && memory_->tree.limit != 0; }

    /// What the process has and wants: see TreeEntry.
    struct Need {
        TreePeak taken;
        std::uint64_t wants = 0;
    };
    /// Returns the bytes that the process should take from now on. If it is less than `share`, the process first frees
    /// the rest and then calls `give_back`; if it is more, it has been announced.
    [[nodiscard]] std::uint64_t next(const Need& need) noexcept;
    void give_back(std::uint64_t share) noexcept;

    /// Returns true if the processes have so little that they may take `bytes` more.
    [[nodiscard]] bool has_room(std::uint64_t bytes) const noexcept {
        return look().taken.sum() + bytes <= memory_->tree.limit;
    }

    /// Announces what the process has, and raises the peak of the tree.
    void note(const TreePeak& taken) noexcept;

    [[nodiscard]] std::uint64_t share() const noexcept { return entry().share.load(); }
    /// Returns true if some process of the tree wants memory.
    [[nodiscard]] bool is_contended() const noexcept { return contended_; }

    /// Gives everything back: the process ends.
    void end() noexcept { entry().clear(); }

private:
    struct Tree {
        std::uint64_t processes = 0;    // this one included
        std::uint64_t shares = 0;       // their sum
        std::uint64_t most_wanted = 0;  // by another process
        TreePeak taken;
    };

    [[nodiscard]] TreeEntry& entry() const noexcept { return memory_->tree.entries[slot_]; }
    [[nodiscard]] Tree look() const noexcept;
    void announce(const TreePeak& taken) noexcept;
    void clear_ended(std::size_t most) noexcept;
    void raise_peak() noexcept;
    [[nodiscard]] std::uint64_t floor(const Tree& tree) const noexcept;
    [[nodiscard]] std::uint64_t step() const noexcept;
    [[nodiscard]] std::uint64_t grown(std::uint64_t free) noexcept;
    [[nodiscard]] std::uint64_t shrunk(const Tree& tree, const Need& need) const noexcept;

    StatusMemory* memory_ = nullptr;
    std::size_t slot_ = 0;
    std::size_t next_checked_ = 0;
    bool contended_ = false;
};

}  // namespace faultline::run
