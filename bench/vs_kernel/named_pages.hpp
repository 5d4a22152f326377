// NamedPages: the pages of mode n: a uniformly random sequence whose pages are announced to the pager, batch by batch,
// before they are touched. One per thread, kept from round to round: pages announced at the end of one round are
// touched in the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "support/random.hpp"
#include "vs_kernel/memory.hpp"

namespace bench {

/// One touch is an access to one unit of this size, in bytes, whatever the page size of the system under test.
inline constexpr std::size_t kTouchedPageBytes = 4096;

class NamedPages {
public:
    /// How many batches are announced before the one in use.
    static constexpr std::size_t kBatchesAhead = 2;

    /// Announces the first batches. Throws what `Memory::will_need` throws, as does the call operator.
    NamedPages(Memory& memory, std::size_t named_at_once, std::uint64_t seed)
        : memory_{memory},
          pages_{memory.bytes().size() / kTouchedPageBytes},
          next_{seed},
          ahead_{seed},
          batch_(named_at_once) {
        for (std::size_t batch = 0; batch < kBatchesAhead; ++batch) name_batch();
    }

    /// Returns the next page.
    std::uint64_t operator()() {
        if (left_ == 0) {
            name_batch();
            left_ = batch_.size();
        }
        --left_;
        return next_.below(pages_);
    }

private:
    void name_batch() {
        for (std::span<std::byte>& range : batch_) {
            range = memory_.bytes().subspan(ahead_.below(pages_) * kTouchedPageBytes, kTouchedPageBytes);
        }
        memory_.will_need(batch_);
    }

    Memory& memory_;
    std::uint64_t pages_;
    Random next_;
    Random ahead_;  // the same numbers, `kBatchesAhead` batches earlier, so that no list is needed
    std::vector<std::span<std::byte>> batch_;
    std::size_t left_ = 0;  // pages left of the batch in use
};

}  // namespace bench
