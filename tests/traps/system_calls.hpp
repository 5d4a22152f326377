// What the system call tests of trap 2 have the kernel do: each call moves bytes between memory and something outside
// of it, which can be filled before and looked at afterwards.
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

/// The other end of a transfer: a pipe, a pair of sockets or a file. Throws std::system_error with EOPNOTSUPP where
/// this machine has no such thing.
class Outside {
public:
    Outside() = default;
    virtual ~Outside() = default;
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

    /// What the kernel is told to write to, and to read from.
    [[nodiscard]] virtual int sink() const noexcept = 0;
    [[nodiscard]] virtual int source() const noexcept = 0;

    /// Makes `bytes` the next that come out of `source`.
    virtual void offer(std::span<const std::byte> bytes) = 0;

    /// All that has gone into `sink`; of a file that nothing was written to, what it has had since `offer`.
    [[nodiscard]] virtual std::vector<std::byte> taken() = 0;
};

/// A system call that the table of docs/deliveries.md has a row for.
struct SystemCall {
    const char* name;
    bool into_memory;  ///< The kernel writes to memory; else it reads from it.
    std::unique_ptr<Outside> (*outside)();
    /// Moves up to `bytes` once. Returns how many, or a negated errno.
    long (*run)(const Outside& outside, std::byte* memory, std::size_t bytes);
};
inline void PrintTo(const SystemCall& call, std::ostream* out) { *out << call.name; }

/// Every one of them.
std::span<const SystemCall> system_calls();

/// Calls FUTEX_WAIT for `expected` and wakes the caller again. Returns 0 when it was woken, else a negated errno.
long wait_on_futex(std::byte* word, std::uint32_t expected, bool shared_between_processes);

}  // namespace faultline::test
