// The kernel's side of swapping: an area that is switched on with the highest priority, and a file to hold one.
// Whoever swapped should have ended before an area is switched off: what it still holds has to fit into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "vs_kernel/journal.hpp"

namespace bench {

/// Bytes a swap area needs for `region_bytes`: all of it may be out at once, and the kernel allots in clusters.
constexpr std::size_t swap_bytes_for(std::size_t region_bytes) noexcept {
    return region_bytes + region_bytes / 8 + (std::size_t{16} << 20);
}

/// A swap area in a fresh file, whose blocks are all allotted beforehand.
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

/// Formats (mkswap) and switches on the file or device at `path`. Throws, saying what refused.
void switch_swap_on(const std::string& path);

/// True when no such area is on any more.
bool switch_swap_off(const std::string& path) noexcept;

/// Switches off and deletes; false when something is left.
bool remove_swap_file(const std::string& path) noexcept;

}  // namespace bench
