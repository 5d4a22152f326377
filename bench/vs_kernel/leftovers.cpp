// Maps each kind of journal entry to the function that removes it.
#include "vs_kernel/leftovers.hpp"

#include <cstdio>

#include "vs_kernel/cgroup.hpp"
#include "vs_kernel/swap_device.hpp"
#include "vs_kernel/zram.hpp"

namespace bench {
namespace {

bool remove_one(const Leftover& leftover) noexcept {
    if (leftover.kind == "cgroup") return remove_cgroup(leftover.name);
    if (leftover.kind == "swap-file") return remove_swap_file(leftover.name);
    if (leftover.kind == "zram") return remove_zram(leftover.name);
    return false;
}

}  // namespace

void remove_leftovers(Journal& journal) {
    const std::vector<Leftover> leftovers = journal.leftovers();
    for (auto entry = leftovers.rbegin(); entry != leftovers.rend(); ++entry) {
        const Leftover& leftover = *entry;
        const bool removed = remove_one(leftover);
        std::fprintf(stderr, "left by an earlier run: %s %s: %s\n", leftover.kind.c_str(), leftover.name.c_str(),
                     removed ? "removed" : "still there");
        if (removed) journal.remove(leftover);
    }
}

}  // namespace bench
