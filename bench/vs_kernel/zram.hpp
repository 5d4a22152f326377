// ZramSwap: a fresh zram device, compressing with LZ4, as swap area. Its pool lies outside every memory cgroup: the
// peer gets the compressed copies on top of its limit, and `pool_bytes` says how much that is.
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

    /// Memory the device takes now.
    [[nodiscard]] std::uint64_t pool_bytes() const;

private:
    std::string number_;
    std::optional<JournalEntry> entry_;  // only once the kernel has told the number
};

/// Switches off, empties and removes device `number`; false when something is left.
bool remove_zram(const std::string& number) noexcept;

}  // namespace bench
