// Converts between the enumeration constants of faultline.h and the C++ enumerations. An invalid number throws
// std::system_error with EINVAL.
// Included by the C functions; the C++ interface has no numbers.
#pragma once

#include <faultline/types.hpp>

namespace faultline::api {

[[nodiscard]] Delivery delivery_of(int word);
[[nodiscard]] Eviction eviction_of(int word);
[[nodiscard]] Replacement replacement_of(int word);
[[nodiscard]] ForkPolicy fork_policy_of(int word);
[[nodiscard]] Access access_of(int word);
[[nodiscard]] PinFor pin_purpose_of(int word);
[[nodiscard]] Advice advice_of(int word);

[[nodiscard]] int word_of(Delivery delivery) noexcept;
[[nodiscard]] int word_of(Eviction eviction) noexcept;
[[nodiscard]] int word_of(LogLevel level) noexcept;

/// Returns "unknown" for any other value.
[[nodiscard]] const char* delivery_name(int word) noexcept;
[[nodiscard]] const char* eviction_name(int word) noexcept;

}  // namespace faultline::api
