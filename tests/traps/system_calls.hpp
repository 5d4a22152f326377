// The system calls that the tests of trap 2 make. Each moves bytes between memory and an Outside (a pipe, sockets, a
// file), which the test fills before the call and inspects after it.
#pragma once

#include "sys/file_descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace faultline::test {

/// The other end of a transfer: a pipe, a pair of sockets or a file. Constructors throw std::system_error with
/// EOPNOTSUPP if this machine does not support it.
class Outside {
public:
    Outside() = default;
    virtual ~Outside() = default;
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

    /// The descriptors that calls write to and read from.
    [[nodiscard]] virtual int sink() const noexcept = 0;
    [[nodiscard]] virtual int source() const noexcept = 0;

    /// Makes `bytes` the next bytes that a call reads from `source`.
    virtual void offer(std::span<const std::byte> bytes) = 0;

    /// Returns every byte written to `sink`. A file that no call wrote to returns what offer() put there.
    [[nodiscard]] virtual std::vector<std::byte> taken() = 0;
};

/// A system call with a row in the table of docs/deliveries.md.
struct SystemCall {
    const char* name;
    bool into_memory;  ///< Whether the kernel writes to memory; else it reads from it.
    std::unique_ptr<Outside> (*outside)();
    /// Makes the call once for `bytes` bytes. Returns how many it moved, or a negated errno.
    long (*run)(const Outside& outside, std::byte* memory, std::size_t bytes);
};
inline void PrintTo(const SystemCall& call, std::ostream* out) { *out << call.name; }

/// Returns every system call that is tested.
std::span<const SystemCall> system_calls();

/// Calls FUTEX_WAIT for `expected`; a second thread wakes the caller. Returns 0 after the wake, else a negated errno.
long wait_on_futex(std::byte* word, std::uint32_t expected, bool shared_between_processes);

}  // namespace faultline::test
