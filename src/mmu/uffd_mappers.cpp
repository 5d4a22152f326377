#include "mmu/uffd_mappers.hpp"

#include "core/units.hpp"
#include "core/zero_unit.hpp"
#include "sys/error.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"

#include <cerrno>
#include <string>

namespace faultline::mmu {
namespace {

/// Tests UFFDIO_MOVE on one page. The feature bit only says that the ioctl exists, not that it works for our kind of
/// memory.
bool move_works(sys::Userfaultfd& uffd) {
    if (!uffd.has(sys::abi::kFeatureMove)) return false;
    const sys::Mapping trial = sys::Mapping::reserve(2 * core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    uffd.watch(trial.data(), trial.size(), true);
    std::byte* const second = trial.data() + core::kUnitBytes;
    std::size_t moved = 0;
    return uffd.copy(trial.data(), core::kZeroUnit, core::kUnitBytes, false) == 0 &&
           uffd.move(second, trial.data(), core::kUnitBytes, &moved) == 0 && second[0] == std::byte{0};
}

/// Tests UFFDIO_POISON: poisoning a poisoned page again must fail with EEXIST. An access is no test, because it would
/// wait if there were no poison.
bool poison_works(sys::Userfaultfd& uffd) {
    if (!uffd.has(sys::abi::kFeaturePoison)) return false;
    const sys::Mapping trial = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    uffd.watch(trial.data(), trial.size(), true);
    return uffd.poison(trial.data(), trial.size()) == 0 && uffd.poison(trial.data(), trial.size()) == EEXIST;
}

}  // namespace

Eviction choose_uffd_eviction(sys::Userfaultfd& uffd, Eviction wanted) {
    if (wanted == Eviction::protect || wanted == Eviction::guard) {
        sys::throw_error(EINVAL, std::string("Eviction::") + to_string(wanted) +
                                     " needs Delivery::sigsegv; userfaultfd supports move and copy");
    }
    if (wanted == Eviction::copy) return wanted;
    if (move_works(uffd)) return Eviction::move;
    if (wanted == Eviction::automatic) return Eviction::copy;
    sys::throw_error(EOPNOTSUPP,
                     "this kernel does not move pages (UFFDIO_MOVE, Linux 6.8); use Eviction::automatic or copy");
}

UffdMappers::UffdMappers(sys::Userfaultfd& uffd, Eviction wanted, const ViewRegistry& views)
    : uffd_{uffd},
      eviction_{choose_uffd_eviction(uffd, wanted)},
      poisons_{poison_works(uffd)},
      private_{uffd, dropper_, eviction_ == Eviction::move},
      shared_{uffd, views} {}

void UffdMappers::start_in_child() {
    dropper_.start_in_child();
    shared_.start_in_child();
}

void UffdMappers::watch_staging(void* address, std::size_t bytes) {
    uffd_.watch(address, bytes, false);
    staging_begin_ = core::address_of(address);
    staging_bytes_ = bytes;
}

}  // namespace faultline::mmu
