// The variants that clones are tested with: each delivery, and all kinds of eviction but one.
#pragma once

#include "space/space_fixture.hpp"

#include <array>

namespace faultline::test {

inline constexpr std::array kCloneVariants{
    Variant{Delivery::uffd_signal, Eviction::move},
    Variant{Delivery::uffd_threads, Eviction::copy},
    Variant{Delivery::sigsegv, Eviction::protect},
};

}  // namespace faultline::test
