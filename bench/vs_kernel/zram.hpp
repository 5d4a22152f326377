// ZramSwap: a new zram device, compressing with LZ4, as a swap area. Its pool lies outside every memory cgroup: the
// peer gets the compressed copies in addition to its limit. `pool_bytes` returns how much that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "vs_kernel/journal.hpp"

namespace bench {

class ZramSwap {
public:
    ZramSwap(Journal& journal, std::size_t bytes);
    ZramSwap(const ZramSwap&) = delete;
    ZramSwap& operator=(const ZramSwap&) = delete;
    ~ZramSwap();

    /// Returns the memory that the device takes now, in bytes.
    [[nodiscard]] std::uint64_t pool_bytes() const;

private:
    std::string number_;
    std::optional<JournalEntry> entry_;  // set once the kernel has returned the number
};

/// Deactivates, empties and removes device `number`; returns false if it remains.
bool remove_zram(const std::string& number) noexcept;

}  // namespace bench
