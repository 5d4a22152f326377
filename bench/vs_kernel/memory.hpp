// Memory: the range under test, whoever pages it, and what its paging has cost so far. Made in the child process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace bench {

struct Options;

struct FaultCounts {
    std::uint64_t hard = 0;  ///< Needed the store.
    std::uint64_t soft = 0;  ///< Needed only a mapping, or a first page of zeros.
};

/// As getrusage(2) counts for this process: major and minor faults.
FaultCounts kernel_fault_counts();

class Memory {
public:
    virtual ~Memory() = default;
    [[nodiscard]] virtual std::span<std::byte> bytes() const = 0;
    [[nodiscard]] virtual FaultCounts faults() const = 0;

    /// Tells the pager that these parts of the memory are needed soon, whether they are resident or not. May be called
    /// by several threads at once.
    virtual void will_need(std::span<const std::span<std::byte>> ranges) = 0;

    /// How faults arrive and pages leave, for people; the first word is the delivery ("uffd_signal, move").
    [[nodiscard]] virtual std::string description() const = 0;
};

/// A region of a fresh pager. Throws what `faultline::Pager` throws.
std::unique_ptr<Memory> make_faultline_memory(const Options& options);

/// Ordinary memory of `bytes`: anonymous, or of `file` when that is not -1.
std::unique_ptr<Memory> make_kernel_memory(std::size_t bytes, int file);

}  // namespace bench
