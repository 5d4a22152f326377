#include "soak/round.hpp"

#include "soak/territory.hpp"
#include "soak/worker.hpp"
#include "support/accessed_bits.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace faultline::soak {
namespace {

using Territories = std::vector<std::unique_ptr<Territory>>;
using Disturbances = std::vector<std::unique_ptr<test::AccessedBitsClearer>>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeapBytes = std::size_t{64} << 20;

Territories make_territories(const Configuration& configuration, Pager& pager) {
    Random random{configuration.seed + 1};
    Territories territories;
    for (unsigned i = 0; i < configuration.regions; ++i) {
        // The first region has the largest page size; the others may have smaller ones.
        const std::size_t shift = i == 0 ? 0 : random.below(5);
        const std::size_t page_size = std::max(kBasePageBytes, configuration.page_size >> shift);
        const std::size_t bytes =
            std::max<std::size_t>(configuration.pages / configuration.regions, 2) * configuration.page_size;
        const Division division{random.one_in(3) ? Division::By::words : Division::By::pages,
                                random.any_of<std::size_t>({1, 3, 16}), configuration.threads};
        territories.push_back(std::make_unique<Territory>("region " + std::to_string(i),
                                                          pager.reserve(bytes, {.page_size = page_size}), division));
    }
    return territories;
}

/// Starts clearing accessed bits in the first region and in the part of the heap that holds small blocks.
Disturbances disturb(const Configuration& configuration, const Territories& territories, Heap* heap) {
    Disturbances disturbances;
    if (!configuration.clears_accessed_bits) return disturbances;
    Region& region = territories.front()->region();
    disturbances.push_back(std::make_unique<test::AccessedBitsClearer>(region.data(), region.size()));
    if (heap == nullptr) return disturbances;
    void* const lowest = heap->allocate(1);
    disturbances.push_back(std::make_unique<test::AccessedBitsClearer>(lowest, kHeapBytes / 16));
    heap->deallocate(lowest);
    return disturbances;
}

void work(Worker& worker, Clock::time_point end, Findings& findings) {
    try {
        while (Clock::now() < end && !findings.any()) {
            for (int i = 0; i < 32; ++i) worker.step();
        }
        worker.verify();
    } catch (const std::exception& error) {
        findings.fault(std::string("unexpected exception: ") + error.what());
    }
}

/// Returns what is inconsistent in the figures while no worker runs; empty if nothing is.
std::string complaint(const Pager& pager, Territories& territories) {
    const PagerStats stats = pager.stats();
    if (stats.frames_used > stats.resident_limit) return "frames_used is above the limit";
    if (stats.resident_bytes + stats.staged_bytes > stats.resident_limit) return "resident_bytes are above the limit";
    if (stats.pinned_bytes != 0) return "pinned_bytes without a pin";
    for (const auto& territory : territories) {
        std::array<ResidencyCell, 3> cells{};
        territory->region().residency(cells);
        std::uint64_t sum = 0;
        for (const ResidencyCell& cell : cells) sum += cell.untouched + cell.resident + cell.staged + cell.swapped;
        if (sum != territory->region().size()) return "residency() does not add up to the region";
    }
    return {};
}

/// Repeats complaint() for up to a second: the evictor or a handler thread may still update the figures.
void check_figures(const Pager& pager, Territories& territories, Findings& findings) {
    std::string wrong;
    for (int tries = 0; tries < 500; ++tries) {
        wrong = complaint(pager, territories);
        if (wrong.empty()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    findings.fault(wrong);
}

void check_nothing_is_left(const Pager& pager, Findings& findings) {
    const PagerStats stats = pager.stats();
    const std::uint64_t left = stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes + stats.dirty_bytes;
    if (left != 0) findings.fault(std::to_string(left) + " bytes are counted after the last region was destroyed");
}

}  // namespace

std::uint64_t run_round(const Configuration& configuration, std::chrono::milliseconds length, Findings& findings) {
    Pager pager{configuration.config()};
    std::uint64_t operations = 0;
    {
        Territories territories = make_territories(configuration, pager);
        std::optional<Heap> heap;
        if (configuration.heap) heap.emplace(pager, HeapConfig{.reservation = kHeapBytes});
        const Disturbances disturbances = disturb(configuration, territories, heap ? &*heap : nullptr);
        std::vector<std::unique_ptr<Worker>> workers;
        for (unsigned i = 0; i < configuration.threads; ++i) {
            workers.push_back(std::make_unique<Worker>(
                Stage{configuration, pager, territories, heap ? &*heap : nullptr, findings}, i));
        }
        const Clock::time_point end = Clock::now() + length;
        std::vector<std::thread> threads;
        for (const auto& worker : workers) threads.emplace_back([&] { work(*worker, end, findings); });
        for (std::thread& thread : threads) thread.join();
        for (const auto& worker : workers) operations += worker->operations();
        workers.clear();
        check_figures(pager, territories, findings);
    }
    check_nothing_is_left(pager, findings);
    return operations;
}

}  // namespace faultline::soak
