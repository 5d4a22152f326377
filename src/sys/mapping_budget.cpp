#include "sys/mapping_budget.hpp"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <limits>

namespace faultline::sys {
namespace {

constexpr std::int64_t kKernelDefault = 65530;

std::atomic<std::int64_t> ours{0};
std::atomic<std::int64_t> most{0};

std::int64_t allowed_mappings() {
    std::ifstream file{"/proc/sys/vm/max_map_count"};
    std::int64_t value = 0;
    return file >> value && value > 0 ? value : kKernelDefault;
}

std::int64_t process_mappings() {
    std::ifstream maps{"/proc/self/maps"};
    std::int64_t count = 0;
    while (maps.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) ++count;
    return count;
}

}  // namespace

void MappingBudget::recount() {
    const std::int64_t allowed = allowed_mappings();
    const std::int64_t others = std::max<std::int64_t>(process_mappings() - ours.load(), 0);
    // A quarter is left for the program, and for pages that must be hidden while mappings are short.
    most.store(std::max<std::int64_t>(allowed - allowed / 4 - others, 0));
}

void MappingBudget::account(std::int64_t change) FAULTLINE_SIGNAL_SAFE {
    if (change != 0) ours.fetch_add(change, std::memory_order_relaxed);
}

bool MappingBudget::is_short() FAULTLINE_SIGNAL_SAFE { return used() > limit(); }

bool MappingBudget::is_low() FAULTLINE_SIGNAL_SAFE { return used() > limit() - limit() / 8; }

void MappingBudget::exhausted() FAULTLINE_SIGNAL_SAFE {
    const std::int64_t now = used();
    most.store(std::min(limit(), now - now / 8), std::memory_order_relaxed);
}

std::int64_t MappingBudget::used() FAULTLINE_SIGNAL_SAFE { return ours.load(std::memory_order_relaxed); }
std::int64_t MappingBudget::limit() FAULTLINE_SIGNAL_SAFE { return most.load(std::memory_order_relaxed); }

}  // namespace faultline::sys
