// Peer: another way to page memory, which faultline is compared with, set up for a child process to use. The destructor
// removes what it owns (cgroup, swap area, file); its child must end first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "vs_kernel/memory.hpp"

namespace bench {

class Peer {
public:
    virtual ~Peer() = default;

    [[nodiscard]] virtual const std::string& name() const noexcept = 0;

    /// Returns where pages go: "file" or "compressed".
    [[nodiscard]] virtual const char* store() const noexcept = 0;

    /// Returns the bytes that one fault reads.
    [[nodiscard]] virtual std::size_t page_bytes() const noexcept = 0;

    /// Makes the memory to work on. Called in the child process, which enters the peer's limit here.
    [[nodiscard]] virtual std::unique_ptr<Memory> make_memory() const = 0;

    /// Returns the memory in use outside the limit, in bytes.
    [[nodiscard]] virtual std::uint64_t memory_beside() const { return 0; }
};

/// Sets up peers by name.
class PeerSource {
public:
    virtual ~PeerSource() = default;

    /// Sets up a peer. Throws with the reason if this machine or user cannot have it. Only one at a time: the kernel
    /// would fill one swap area before it used the other.
    virtual std::unique_ptr<Peer> make(const std::string& name, const Options& options) = 0;

    /// Returns a description of the peers and of what is counted, in whole lines.
    [[nodiscard]] virtual std::string conditions(const Options& options) const = 0;

    /// Called in every forked child: closes what only the parent may hold.
    virtual void let_go_in_child() noexcept {}
};

}  // namespace bench
