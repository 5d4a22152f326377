// The functions that make the built-in replacement policies, from the table in faultline/c/replacements.h. A pager
// calls one of them, or Config::policy.
#pragma once

#include <faultline/replacement_policy.hpp>
#include <faultline/types.hpp>

namespace faultline::policy {

/// Returns the function that makes a built-in policy. The policy has memory for all its frames. The function throws
/// std::system_error (ENOMEM).
[[nodiscard]] PolicyFactory factory_of(Replacement replacement);

}  // namespace faultline::policy
