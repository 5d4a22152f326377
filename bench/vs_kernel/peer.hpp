// Peer: one of the kernel's own ways to page, set up and ready for a child process to work under. What it owns (cgroup,
// swap area, file) is gone when it is; its child has to end first.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "support/file_descriptor.hpp"
#include "vs_kernel/cgroup.hpp"
#include "vs_kernel/options.hpp"
#include "vs_kernel/swap_device.hpp"
#include "vs_kernel/zram.hpp"

namespace bench {

class Peer {
public:
    /// `name` is swap, zram or mmap. Throws with the reason when this machine or user cannot have it.
    Peer(const std::string& name, const Options& options, Journal& journal);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Where pages go: "file" or "compressed".
    [[nodiscard]] const char* store() const noexcept { return zram_ ? "compressed" : "file"; }

    /// The file to map; -1 when the memory is anonymous.
    [[nodiscard]] int mapped_file() const noexcept { return mapped_file_.get(); }

    [[nodiscard]] const MemoryCgroup& cgroup() const noexcept { return cgroup_; }

    /// Memory in use outside the cgroup, in bytes: zram's pool.
    [[nodiscard]] std::uint64_t memory_beside() const { return zram_ ? zram_->pool_bytes() : 0; }

private:
    std::string name_;
    MemoryCgroup cgroup_;
    std::optional<SwapFile> swap_file_;
    std::optional<ZramSwap> zram_;
    FileDescriptor mapped_file_;
};

}  // namespace bench
