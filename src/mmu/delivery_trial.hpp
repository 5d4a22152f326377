// Trying out a delivery on a page of its own: not what the kernel's version or its feature bits promise, but what it
// does for this process. It installs no handler and leaves nothing behind.
#pragma once

#include <faultline/types.hpp>

#include <string>

namespace faultline::mmu {

/// What stands in the way of `delivery` (not `automatic`) here; empty when nothing does. Control path: opens
/// descriptors, starts a thread for a moment.
[[nodiscard]] std::string try_delivery(Delivery delivery);

struct ChosenDelivery {
    Delivery delivery = Delivery::sigsegv;
    std::string reason;  ///< A sentence for the log: why this one, and why none of the better ones.
};

/// `wanted`, unless that is `automatic`: then the delivery that $FAULTLINE_DELIVERY names, else the first of
/// `uffd_threads`, `uffd_signal` and `sigsegv` that can serve `eviction` and works here. Throws std::system_error:
/// EINVAL when the variable names none.
[[nodiscard]] ChosenDelivery choose_delivery(Delivery wanted, Eviction eviction);

}  // namespace faultline::mmu
