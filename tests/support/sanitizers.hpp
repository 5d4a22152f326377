// Which sanitizer the tests are compiled with, for tests whose premise it breaks.
#pragma once

namespace faultline::test {

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer adds mappings of its own, and lets no child of a process with threads start any.
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = kThreadSanitized;
#endif

}  // namespace faultline::test
