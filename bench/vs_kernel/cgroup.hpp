// MemoryCgroup: the memory limit of a kernel peer. It supports versions 1 and 2 of the controller.
#pragma once

#include <cstddef>
#include <string>

#include "vs_kernel/journal.hpp"

namespace bench {

/// Returns the bytes that the limit of a kernel peer grants in addition to the resident memory, so that the workload
/// gets all of that: the process itself (code, stacks, histograms, the kernel's data), and the page tables of the whole
/// range, which are charged to the group as well (8 bytes per 4 KiB).
constexpr std::size_t cgroup_allowance(std::size_t region_bytes) noexcept {
    return (std::size_t{2} << 20) + region_bytes / 512;
}

/// A group directly under the root of the hierarchy. Needs root.
class MemoryCgroup {
public:
    /// Makes the group. Throws std::runtime_error or std::system_error saying why it cannot.
    MemoryCgroup(Journal& journal, std::size_t limit);
    MemoryCgroup(const MemoryCgroup&) = delete;
    MemoryCgroup& operator=(const MemoryCgroup&) = delete;
    ~MemoryCgroup();

    /// Moves the calling process into the group: memory that it touches from now on is charged to it.
    void join() const;

private:
    std::string path_;
    JournalEntry entry_;
};

/// Removes the group at `path`; returns false if it still exists. The processes in it must have ended.
bool remove_cgroup(const std::string& path) noexcept;

}  // namespace bench
