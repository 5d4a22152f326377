// Model: something that answers page references with a fixed number of frames, and what it is asked to count. A trace
// is replayed under a model by touching its pages in order.
#pragma once

#include "replay/dense_trace.hpp"

#include <cstddef>
#include <cstdint>

namespace bench {

struct ReplayCounts {
    std::uint64_t references = 0;
    std::uint64_t first_touches = 0;  ///< Of pages never seen before: filled with zeros, whatever the policy.
    std::uint64_t hard_faults = 0;    ///< Of pages that had left: read from the store.
    std::uint64_t soft_faults = 0;    ///< Of pages off the view whose frame was still held.
    std::uint64_t unmapped = 0;       ///< Pages taken off the view, to staging or for good.
    std::uint64_t written = 0;        ///< Dirty pages written to the store.

    /// Of all references, those that needed nothing from the store; 0 to 1.
    [[nodiscard]] double hit_rate() const noexcept {
        if (references == 0) return 0;
        return 1.0 - static_cast<double>(hard_faults) / static_cast<double>(references);
    }
};

/// Microseconds that paging adds to the program's own work, by what happens to a page.
struct CostModel {
    double hard_fault = 100;
    double soft_fault = 3.5;
    double unmap = 1;

    [[nodiscard]] double per_reference(const ReplayCounts& counts) const noexcept {
        if (counts.references == 0) return 0;
        return (static_cast<double>(counts.hard_faults) * hard_fault +
                static_cast<double>(counts.soft_faults) * soft_fault + static_cast<double>(counts.unmapped) * unmap) /
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

    /// What was counted since the last call of `forget_counts`, or the beginning.
    [[nodiscard]] const ReplayCounts& counts() const noexcept { return counts_; }
    void forget_counts() noexcept { counts_ = {}; }

    /// Frames that hold a page now, mapped or not.
    [[nodiscard]] virtual std::size_t frames_used() const noexcept = 0;

protected:
    virtual void answer(PageIndex page, bool write) = 0;
    [[nodiscard]] ReplayCounts& counting() noexcept { return counts_; }

private:
    ReplayCounts counts_;
};

/// Replays the trace; what the first `warm_up` references cause is not counted.
inline ReplayCounts replay(Model& model, const DenseTrace& trace, std::size_t warm_up = 0) {
    for (std::size_t i = 0; i < trace.references.size(); ++i) {
        if (i == warm_up) model.forget_counts();
        model.touch(trace.references[i]);
    }
    return model.counts();
}

}  // namespace bench
