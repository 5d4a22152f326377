#include "replay/dense_trace.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace bench {

DenseTrace renumbered(const std::vector<PageReference>& references) {
    std::vector<std::uint64_t> numbers;
    numbers.reserve(references.size());
    for (const PageReference& reference : references) numbers.push_back(reference.page);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    if (numbers.size() > std::numeric_limits<PageIndex>::max()) {
        throw std::length_error{"the trace has more pages than can be replayed"};
    }
    DenseTrace dense;
    dense.pages = static_cast<PageIndex>(numbers.size());
    dense.references.reserve(references.size());
    for (const PageReference& reference : references) {
        const auto place = std::lower_bound(numbers.begin(), numbers.end(), reference.page);
        dense.references.push_back({static_cast<PageIndex>(place - numbers.begin()), reference.write});
    }
    return dense;
}

}  // namespace bench
