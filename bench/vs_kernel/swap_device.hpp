// The kernel's swap: an area that is activated with the highest priority, and a file for it. The processes that swapped
// should end before an area is deactivated: what it still holds must fit into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "vs_kernel/journal.hpp"

namespace bench {

/// Returns the size of a swap area for `region_bytes`: all of it may be swapped out, and the kernel allocates clusters.
constexpr std::size_t swap_bytes_for(std::size_t region_bytes) noexcept {
    return region_bytes + region_bytes / 8 + (std::size_t{16} << 20);
}

/// A swap area in a new file, whose blocks are all allocated in advance.
class SwapFile {
public:
    SwapFile(Journal& journal, const std::filesystem::path& directory, std::size_t bytes);
    SwapFile(const SwapFile&) = delete;
    SwapFile& operator=(const SwapFile&) = delete;
    ~SwapFile();

private:
    std::string path_;
    JournalEntry entry_;
};

/// Formats (mkswap) and activates the file or device at `path`. Throws with the failed step.
void switch_swap_on(const std::string& path);

/// Returns true if no such area is active.
bool switch_swap_off(const std::string& path) noexcept;

/// Deactivates and deletes the file; returns false if it remains.
bool remove_swap_file(const std::string& path) noexcept;

}  // namespace bench
