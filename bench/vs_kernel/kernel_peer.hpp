// The kernel's own ways to page: swap, zram, mmap. All need root, for the memory cgroup that holds the limit.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sys/file_descriptor.hpp"
#include "vs_kernel/cgroup.hpp"
#include "vs_kernel/journal.hpp"
#include "vs_kernel/options.hpp"
#include "vs_kernel/peer.hpp"
#include "vs_kernel/swap_device.hpp"
#include "vs_kernel/zram.hpp"

namespace bench {

class KernelPeer final : public Peer {
public:
    KernelPeer(const std::string& name, const Options& options, Journal& journal);

    [[nodiscard]] const std::string& name() const noexcept override { return name_; }
    [[nodiscard]] const char* store() const noexcept override { return zram_ ? "compressed" : "file"; }
    [[nodiscard]] std::size_t page_bytes() const noexcept override { return faultline::kBasePageBytes; }
    [[nodiscard]] std::unique_ptr<Memory> make_memory() const override;
    [[nodiscard]] std::uint64_t memory_beside() const override { return zram_ ? zram_->pool_bytes() : 0; }

private:
    std::string name_;
    std::size_t bytes_;
    MemoryCgroup cgroup_;
    std::optional<SwapFile> swap_file_;
    std::optional<ZramSwap> zram_;
    faultline::sys::FileDescriptor mapped_file_;  // for mmap only
};

class KernelPeers final : public PeerSource {
public:
    /// Cleans up after a run that was killed. Throws with the reason if this run cannot set up any kernel peer.
    KernelPeers();

    std::unique_ptr<Peer> make(const std::string& name, const Options& options) override;
    [[nodiscard]] std::string conditions(const Options& options) const override;
    void let_go_in_child() noexcept override { journal_.close_in_child(); }

private:
    Journal journal_;
};

}  // namespace bench
