// Workload: the standard workload of this benchmark on any range of memory. It fills every page, touches pages in some
// order for some time, measures the touches, and verifies at the end that no page was lost, mixed up or lost a write.
// It does not know which system pages the memory. Runs in the child process only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <faultline/latency_histogram.hpp>
#include <memory>
#include <span>
#include <vector>

#include "support/random.hpp"
#include "vs_kernel/memory.hpp"
#include "vs_kernel/mode.hpp"
#include "vs_kernel/named_pages.hpp"

namespace bench {

struct WorkloadShape {
    unsigned threads = 1;
    std::size_t named_at_once = 1;  ///< Pages of a batch in mode n; at least 1.
};

struct Touches {
    std::uint64_t count = 0;
    double seconds = 0;
    faultline::LatencyHistogram latency;
};

struct Verification {
    std::uint64_t pages = 0;
    std::uint64_t mismatches = 0;     ///< Pages with a word that is neither the filled value nor that plus writes.
    std::int64_t missing_writes = 0;  ///< Writes made minus writes found, over all pages.

    [[nodiscard]] bool passed() const noexcept { return mismatches == 0 && missing_writes == 0; }
};

class Workload {
public:
    /// `memory` must outlive the workload.
    Workload(Memory& memory, const WorkloadShape& shape);

    /// Writes every page, in order, on the calling thread. The latencies are those of each page's first write.
    Touches populate();

    /// Touches pages on all threads for `seconds`. Throws what `Memory::will_need` throws.
    Touches run(const Mode& mode, double seconds);

    /// Reads every word of every page.
    [[nodiscard]] Verification verify() const;

private:
    Touches run_thread(unsigned thread, const Mode& mode, std::uint64_t deadline);

    Memory& pager_;
    std::span<std::byte> memory_;
    std::uint64_t pages_;
    std::size_t named_at_once_;
    Shuffle shuffle_;
    Zipf zipf_;
    std::vector<Random> randoms_;                           // one per thread
    std::vector<std::uint64_t> next_pages_;                 // of the sequential modes, one per thread
    std::vector<std::unique_ptr<NamedPages>> named_pages_;  // null until the thread's first round of mode n
    std::uint64_t writes_ = 0;
};

}  // namespace bench
