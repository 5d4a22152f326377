// Memory: the range under test, whichever system pages it, and the faults so far. Made in the child process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace bench {

struct Options;

struct FaultCounts {
    std::uint64_t hard = 0;  ///< Faults that read the store.
    std::uint64_t soft = 0;  ///< Faults that needed a mapping or a zero page only.
};

/// Returns this process's major and minor faults, from getrusage(2).
FaultCounts kernel_fault_counts();

class Memory {
public:
    virtual ~Memory() = default;
    [[nodiscard]] virtual std::span<std::byte> bytes() const = 0;
    [[nodiscard]] virtual FaultCounts faults() const = 0;

    /// Tells the pager that these parts of the memory are needed soon, resident or not. Several threads may call it at
    /// once.
    virtual void will_need(std::span<const std::span<std::byte>> ranges) = 0;

    /// Returns how faults arrive and pages are evicted, as text; the first word is the delivery ("uffd_signal, move").
    [[nodiscard]] virtual std::string description() const = 0;
};

/// Makes a region of a new pager. Throws what `faultline::Pager` throws.
std::unique_ptr<Memory> make_faultline_memory(const Options& options);

/// Maps `bytes` bytes of ordinary memory: anonymous, or of `file` unless that is -1.
std::unique_ptr<Memory> make_kernel_memory(std::size_t bytes, int file);

}  // namespace bench
