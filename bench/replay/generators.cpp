#include "replay/generators.hpp"

#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace bench {
namespace {

using References = std::vector<PageReference>;

/// The differences between the suites.
template <typename Value>
Value by(Suite suite, Value tuning, Value held_out, Value fresh) {
    switch (suite) {
        case Suite::tuning:
            return tuning;
        case Suite::held_out:
            return held_out;
        case Suite::fresh:
            return fresh;
    }
    return tuning;
}

bool chance(Random& random, std::uint64_t percent) { return random.below(100) < percent; }

/// Draws ranks with probability proportional to 1 / (rank + 1)^skew, and shuffles them over the page numbers.
class SkewedPages {
public:
    SkewedPages(std::size_t pages, double skew, Random& random) : cumulative_(pages), page_of_(pages) {
        std::uint64_t total = 0;
        for (std::size_t rank = 0; rank < pages; ++rank) {
            total += static_cast<std::uint64_t>(0x1.0p32 / std::pow(static_cast<double>(rank + 1), skew));
            cumulative_[rank] = total;
        }
        std::iota(page_of_.begin(), page_of_.end(), std::uint64_t{0});
        for (std::size_t left = pages; left > 1; --left) std::swap(page_of_[left - 1], page_of_[random.below(left)]);
    }

    std::uint64_t operator()(Random& random) const {
        const auto rank = std::upper_bound(cumulative_.begin(), cumulative_.end(), random.below(cumulative_.back()));
        return page_of_[static_cast<std::size_t>(rank - cumulative_.begin())];
    }

private:
    std::vector<std::uint64_t> cumulative_;
    std::vector<std::uint64_t> page_of_;
};

/// The number of pages of workloads that do not define their own.
std::size_t pages_of(const WorkloadScale& scale, Suite suite) {
    return by<std::size_t>(suite, scale.frames * 4, scale.frames * 5 / 2, scale.frames * 10 / 3);
}

References zipf(const WorkloadScale& scale, std::uint64_t seed, Suite suite, double skew) {
    Random random{seed};
    const SkewedPages pages{pages_of(scale, suite), skew, random};
    References references(scale.references);
    for (PageReference& reference : references) reference = {pages(random), chance(random, 25)};
    return references;
}

References zipf_flat(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    return zipf(scale, seed, suite, by(suite, 0.8, 0.7, 0.9));
}

References zipf_steep(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    return zipf(scale, seed, suite, by(suite, 1.0, 1.1, 1.2));
}

References uniform(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t pages = pages_of(scale, suite);
    References references(scale.references);
    for (PageReference& reference : references) reference = {random.below(pages), chance(random, 25)};
    return references;
}

References cycle(const WorkloadScale& scale, std::uint64_t seed, std::size_t pages) {
    Random random{seed};
    References references(scale.references);
    for (std::size_t i = 0; i < references.size(); ++i) references[i] = {i % pages, chance(random, 25)};
    return references;
}

References scan(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    return cycle(scale, seed, pages_of(scale, suite));
}

References loop(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    return cycle(scale, seed,
                 by<std::size_t>(suite, scale.frames * 11 / 10, scale.frames * 13 / 10, scale.frames * 3 / 2));
}

References zipf_and_scan(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t half = pages_of(scale, suite) / 2;
    const SkewedPages hot{half, by(suite, 1.0, 0.9, 0.8), random};
    std::uint64_t scanned = 0;
    References references(scale.references);
    for (PageReference& reference : references) {
        if (chance(random, by<std::uint64_t>(suite, 70, 55, 85))) {
            reference = {hot(random), chance(random, 25)};
        } else {
            reference = {half + scanned++ % half, false};
        }
    }
    return references;
}

References phases(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t length = scale.frames * by<std::size_t>(suite, 20, 12, 40);
    References references;
    references.reserve(scale.references);
    while (references.size() < scale.references) {
        const SkewedPages pages{pages_of(scale, suite), 1.0, random};
        const std::size_t end = std::min(scale.references, references.size() + length);
        while (references.size() < end) references.push_back({pages(random), chance(random, 25)});
    }
    return references;
}

/// Approximately normal around 0 with standard deviation `deviation`: the sum of twelve uniform draws has variance 1.
std::int64_t bell(Random& random, std::int64_t deviation) {
    std::int64_t sum = 0;
    for (int draw = 0; draw < 12; ++draw) sum += static_cast<std::int64_t>(random.below(1U << 20));
    return (sum - (6 << 20)) * deviation / (1 << 20);
}

References drift(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const auto pages = static_cast<std::int64_t>(pages_of(scale, suite));
    const auto frames = static_cast<std::int64_t>(scale.frames);
    const std::int64_t deviation = frames * by(suite, 35, 25, 45) / 100;
    const std::int64_t rounds = by(suite, 1, 3, 2);  // how often the working set passes over the same pages
    References references(scale.references);
    for (std::size_t i = 0; i < references.size(); ++i) {
        const auto middle = static_cast<std::int64_t>(i) * pages * rounds / static_cast<std::int64_t>(scale.references);
        const std::int64_t page = (middle + bell(random, deviation)) % pages;
        references[i] = {static_cast<std::uint64_t>(page < 0 ? page + pages : page), chance(random, 25)};
    }
    return references;
}

/// Quicksort: two cursors run towards each other, then both parts are sorted, the left one first. Repeated.
References quicksort(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::uint64_t pages = pages_of(scale, suite);
    const auto full = [&](const References& references) { return references.size() >= scale.references; };
    References references;
    references.reserve(scale.references);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
    while (!full(references)) {
        if (parts.empty()) parts.emplace_back(0, pages);
        const auto [first, end] = parts.back();
        parts.pop_back();
        std::uint64_t left = first;
        std::uint64_t right = end;
        while (left < right && !full(references)) {
            const std::uint64_t page = chance(random, 50) ? left++ : --right;
            references.push_back({page, true});
        }
        if (end - first < 2) continue;
        // the mean of two draws, which makes pivots near the middle likelier
        const std::uint64_t span = end - first - 1;
        const std::uint64_t pivot = first + 1 + (random.below(span) + random.below(span)) / 2;
        parts.emplace_back(pivot, end);
        parts.emplace_back(first, pivot);
    }
    return references;
}

/// Passes over the edges in order, and for each edge visits a vertex. Some vertices are visited much more often.
References graph(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t pages = pages_of(scale, suite);
    const std::size_t vertices = pages / by<std::size_t>(suite, 4, 3, 6);
    const std::size_t edges_per_page = by<std::size_t>(suite, 4, 8, 2);
    const SkewedPages vertex{vertices, by(suite, 0.9, 0.7, 1.1), random};
    References references(scale.references);
    for (std::size_t i = 0; i < references.size(); ++i) {
        if (i % 2 == 0) {
            references[i] = {vertices + i / 2 / edges_per_page % (pages - vertices), false};
        } else {
            references[i] = {vertex(random), true};
        }
    }
    return references;
}

/// Look-ups from the root through two levels to a leaf, all leaves with equal probability. Some of them write the leaf.
References btree(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t pages = pages_of(scale, suite);
    const std::size_t lower = scale.frames / by<std::size_t>(suite, 4, 2, 3);
    const std::size_t upper = std::max<std::size_t>(1, lower / 16);
    const std::size_t leaves = pages - 1 - upper - lower;
    References references;
    references.reserve(scale.references + 4);
    while (references.size() < scale.references) {
        const std::uint64_t leaf = random.below(leaves);
        references.push_back({0, false});
        references.push_back({1 + leaf * upper / leaves, false});
        references.push_back({1 + upper + leaf * lower / leaves, false});
        references.push_back({1 + upper + lower + leaf, chance(random, 10)});
    }
    references.resize(scale.references);
    return references;
}

/// Uses a page again that was used lately, or any page. LRU does well here.
References recent(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t pages = pages_of(scale, suite);
    const std::size_t window = scale.frames * by<std::size_t>(suite, 4, 2, 3);  // references
    References references;
    references.reserve(scale.references);
    while (references.size() < scale.references) {
        const std::size_t past = std::min(references.size(), window);
        const bool again = past > 0 && chance(random, by<std::uint64_t>(suite, 90, 80, 85));
        const std::uint64_t page = again ? references[references.size() - 1 - random.below(past)].page  //
                                         : random.below(pages);
        references.push_back({page, chance(random, 25)});
    }
    return references;
}

/// Draws pages as bench/vs_kernel's thread does in mode z: from the same generators, in the same order.
class VsKernelPages {
public:
    VsKernelPages(std::size_t pages, double exponent) : shuffle_{pages}, zipf_{pages, exponent} {}

    std::uint64_t operator()(Random& random) const {
        const std::uint64_t page = shuffle_(zipf_(random));
        random.next();  // the word of the page
        return page;
    }

private:
    Shuffle shuffle_;
    Zipf zipf_;
};

/// Writes all pages in order, as the benchmark does first.
References populated(const WorkloadScale& scale, std::size_t pages) {
    References references;
    references.reserve(scale.references);
    for (std::uint64_t page = 0; page < std::min(pages, scale.references); ++page) references.push_back({page, true});
    return references;
}

References vs_kernel_z(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t pages = pages_of(scale, suite);
    const VsKernelPages zipf{pages, by(suite, 0.99, 0.9, 1.1)};
    References references = populated(scale, pages);
    while (references.size() < scale.references) references.push_back({zipf(random), false});
    return references;
}

References vs_kernel_turns(const WorkloadScale& scale, std::uint64_t seed, Suite suite) {
    Random random{seed};
    const std::size_t pages = pages_of(scale, suite);
    const VsKernelPages zipf{pages, by(suite, 0.99, 0.9, 1.1)};
    const std::size_t turn = scale.frames * by<std::size_t>(suite, 6, 3, 10);
    References references = populated(scale, pages);
    for (bool zipf_now = false; references.size() < scale.references; zipf_now = !zipf_now) {
        const std::size_t end = std::min(scale.references, references.size() + (zipf_now ? 2 * turn : turn));
        while (references.size() < end) references.push_back({zipf_now ? zipf(random) : random.below(pages), false});
    }
    return references;
}

}  // namespace

std::string_view name(Suite suite) noexcept { return by<std::string_view>(suite, "tuning", "held-out", "fresh"); }

const std::vector<Workload>& workloads() {
    static const std::vector<Workload> all{
        {"zipf-flat", "Zipf's distribution over scattered pages, exponent 0.8 (held out: 0.7, fresh: 0.9)", zipf_flat},
        {"zipf-steep", "the same, exponent 1.0 (1.1, 1.2)", zipf_steep},
        {"uniform", "all pages alike", uniform},
        {"scan", "all pages in order, again and again: 4 times memory (2.5, 3.3 times)", scan},
        {"loop", "a loop a little larger than memory: 1.1 times (1.3, 1.5 times)", loop},
        {"zipf+scan", "70% zipf 1.0 over half of the pages, 30% a scan of the others (55%, 0.9; 85%, 0.8)",
         zipf_and_scan},
        {"phases", "zipf 1.0, its pages dealt anew every 20 references per frame (12, 40)", phases},
        {"drift", "a working set that moves once through all pages (three times, narrower; twice, wider)", drift},
        {"quicksort", "partition passes over ever smaller parts", quicksort},
        {"graph", "edges in order, four per page, a skewed vertex for each (eight, flatter; two, steeper)", graph},
        {"btree", "look-ups through inner pages that fill a quarter of memory (half, a third)", btree},
        {"recent", "90% pages among the last 4 references per frame (80%, 2; 85%, 3)", recent},
        {"vs-kernel-z", "bench/vs_kernel: pages in order, then its mode z, exponent 0.99 (0.9, 1.1)", vs_kernel_z},
        {"vs-kernel-rz", "the same, its modes r and z in turns", vs_kernel_turns},
    };
    return all;
}

const Workload* find_workload(std::string_view name) {
    const std::vector<Workload>& all = workloads();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Workload& one) { return one.name == name; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace bench
