// Tests on a scratch page whether a fault delivery works in this process. The kernel version and the feature bits are
// not enough: a seccomp filter or a missing privilege can still break a delivery. The test installs no signal handler
// and leaves nothing behind. A pager calls it when it is constructed.
#pragma once

#include <faultline/types.hpp>

#include <string>

namespace faultline::mmu {

/// Returns why `delivery` (not `automatic`) does not work in this process, or an empty string if it works. Control
/// path: opens descriptors and starts a short-lived thread.
[[nodiscard]] std::string try_delivery(Delivery delivery);

struct ChosenDelivery {
    Delivery delivery = Delivery::sigsegv;
    std::string reason;  ///< One sentence for the log: why this delivery, and why no better one.
};

/// Returns `wanted` unless that is `automatic`. For `automatic` returns the delivery named by $FAULTLINE_DELIVERY. If
/// the variable is not set, returns the first of `uffd_threads`, `uffd_signal` and `sigsegv` that supports `eviction`
/// and works in this process. Throws std::system_error: EINVAL if the variable has no valid value.
[[nodiscard]] ChosenDelivery choose_delivery(Delivery wanted, Eviction eviction);

}  // namespace faultline::mmu
