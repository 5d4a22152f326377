// Peer: a way to page memory that faultline is measured against, set up and ready for a child process to work under.
// What it owns (cgroup, swap area, file) is gone when it is; its child has to end first.
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

    /// Where pages go: "file" or "compressed".
    [[nodiscard]] virtual const char* store() const noexcept = 0;

    /// Bytes moved by one fault.
    [[nodiscard]] virtual std::size_t page_bytes() const noexcept = 0;

    /// The memory to work on. Called in the child process, which comes under the peer's limit here.
    [[nodiscard]] virtual std::unique_ptr<Memory> make_memory() const = 0;

    /// Memory in use beside the limit, in bytes.
    [[nodiscard]] virtual std::uint64_t memory_beside() const { return 0; }
};

/// Sets peers up by their names.
class PeerSource {
public:
    virtual ~PeerSource() = default;

    /// Throws with the reason when this machine or user cannot have the peer. Not two at a time: the kernel would fill
    /// one swap area before it used the other.
    virtual std::unique_ptr<Peer> make(const std::string& name, const Options& options) = 0;

    /// What the peers have and what it counts, in whole lines for people.
    [[nodiscard]] virtual std::string conditions(const Options& options) const = 0;

    /// In a forked child, whoever's: lets go of what only the parent may hold.
    virtual void let_go_in_child() noexcept {}
};

}  // namespace bench
