// Model: answers page references with a fixed number of frames, and counts faults. PagerModel and the observing
// policies are models. `replay` runs a trace under one.
#pragma once

#include "replay/dense_trace.hpp"

#include <cstddef>
#include <cstdint>

namespace bench {

/// What a model counts.
struct ReplayCounts {
    std::uint64_t references = 0;
    std::uint64_t first_touches = 0;      ///< First accesses to pages: filled with zeros under every policy.
    std::uint64_t hard_faults = 0;        ///< Accesses to evicted pages: read from the store.
    std::uint64_t soft_faults = 0;        ///< Accesses to staged pages, whose frame was still held.
    std::uint64_t protection_faults = 0;  ///< Writes to mapped pages that eviction had write-protected.
    std::uint64_t unmapped = 0;           ///< Pages unmapped, staged or evicted.
    std::uint64_t written = 0;            ///< Dirty pages written to the store.

    /// Returns the fraction of references that did not read the store; 0 to 1.
    [[nodiscard]] double hit_rate() const noexcept {
        if (references == 0) return 0;
        return 1.0 - static_cast<double>(hard_faults) / static_cast<double>(references);
    }
};

/// Microseconds that paging adds to a program's own work, by event.
struct CostModel {
    double hard_fault = 100;
    double soft_fault = 3.5;
    double unmap = 1;
    double protection_fault = 3;

    [[nodiscard]] double per_reference(const ReplayCounts& counts) const noexcept {
        if (counts.references == 0) return 0;
        return (static_cast<double>(counts.hard_faults) * hard_fault +
                static_cast<double>(counts.soft_faults) * soft_fault + static_cast<double>(counts.unmapped) * unmap +
                static_cast<double>(counts.protection_faults) * protection_fault) /
               static_cast<double>(counts.references);
    }
};

class Model {
public:
    Model() = default;
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    virtual ~Model() = default;

    void touch(DenseTrace::Reference reference) {
        ++counts_.references;
        answer(reference.page, reference.write);
    }

    /// Returns the counts since the last call of `forget_counts`, or since the construction.
    [[nodiscard]] const ReplayCounts& counts() const noexcept { return counts_; }
    void forget_counts() noexcept { counts_ = {}; }

    /// Returns the number of frames that hold a page, mapped or staged.
    [[nodiscard]] virtual std::size_t frames_used() const noexcept = 0;

protected:
    virtual void answer(PageIndex page, bool write) = 0;
    [[nodiscard]] ReplayCounts& counting() noexcept { return counts_; }

private:
    ReplayCounts counts_;
};

/// Replays the trace. The first `warm_up` references are not counted.
inline ReplayCounts replay(Model& model, const DenseTrace& trace, std::size_t warm_up = 0) {
    for (std::size_t i = 0; i < trace.references.size(); ++i) {
        if (i == warm_up) model.forget_counts();
        model.touch(trace.references[i]);
    }
    return model.counts();
}

}  // namespace bench
