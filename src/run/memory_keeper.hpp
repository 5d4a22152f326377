// MemoryKeeper: holds a program to the limit of all its memory. It measures what the pager does not manage (stacks,
// data of libraries, what libc allocates for itself) and lowers the pager's memory limit by that; in a tree of
// processes it takes this process's share (TreeShare). The preload calls it on a thread of its own, never in a fault.
#pragma once

#include "pager/pager.hpp"
#include "run/settings.hpp"
#include "run/status_layout.hpp"
#include "run/tree_share.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace faultline::run {

/// For one thread at a time.
class MemoryKeeper {
public:
    /// `say` prints a line. The pager has a memory limit, of `limit` bytes.
    MemoryKeeper(pager::Pager& pager, std::size_t limit, void (*say)(std::string_view)) noexcept
        : pager_{pager}, limit_{limit}, say_{say} {}

    /// Shares the limit from now on with the processes that map `memory`, as the owner of `slot`. Does nothing if it
    /// does already, or if the processes share none.
    void share(StatusMemory& memory, std::size_t slot) noexcept;
    /// In a child of fork: it has no share yet.
    void forget_share() noexcept { share_ = {}; }

    /// Measures, and sets the pager's limit. Blocks until the memory beyond a lowered limit is free.
    void look() noexcept;

    /// Returns true if the processes that share the limit may take `bytes` more, or share none. Allocates nothing,
    /// waits for nothing.
    [[nodiscard]] bool has_room_for_child(std::uint64_t bytes) const noexcept {
        return !share_ || share_.has_room(bytes);
    }

    /// Tells the tree what the process has now, for the tree's peak. Changes nothing else.
    void note() noexcept;

    /// Gives the share back: the process ends.
    void end() noexcept;

    /// Returns how long to wait until the next look.
    [[nodiscard]] std::chrono::nanoseconds pause() const noexcept;

private:
    [[nodiscard]] TreePeak taken() const noexcept;
    [[nodiscard]] std::uint64_t hard_faults_a_second() noexcept;
    [[nodiscard]] std::size_t managed_part(std::size_t share, std::size_t other) noexcept;
    void set_limit(std::size_t bytes) noexcept;
    void report_floor(std::size_t share, std::size_t other) noexcept;

    pager::Pager& pager_;
    std::size_t limit_;
    void (*say_)(std::string_view);
    TreeShare share_;
    std::size_t slot_ = 0;
    std::uint64_t faults_before_ = 0;
    std::chrono::steady_clock::time_point looked_at_ = std::chrono::steady_clock::now();
    std::uint64_t rate_ = 0;        // faults a second, the latest look weighing a half
    std::size_t other_before_ = 0;  // bytes that the pager does not manage, at the latest look
    unsigned looks_ = 0;
    bool growing_ = false;  // they had changed then
    bool floor_reported_ = false;
};

}  // namespace faultline::run
