/// @file
/// Literals for sizes in bytes: 4_KiB, 64_MiB, 1_GiB. Use them for resident limits, region sizes and page sizes.
#pragma once

#include <faultline/language.hpp>

#include <cstddef>
#include <limits>

namespace faultline {
inline namespace v0 {

/// Literals for sizes, as std::size_t. A size above the largest std::size_t does not compile. For
/// `using namespace faultline::literals`.
///
///     using namespace faultline::literals;
///     faultline::Pager pager{{.resident_limit = 64_MiB}};
namespace literals {

/// @cond
/// Declared only: a constant expression that calls it does not compile.
void size_literal_is_too_large();

consteval std::size_t size_literal(unsigned long long count, unsigned shift) {
    if (count > std::numeric_limits<std::size_t>::max() >> shift) size_literal_is_too_large();
    return static_cast<std::size_t>(count) << shift;
}
/// @endcond

/// Returns `count` times 1024 bytes.
consteval std::size_t operator""_KiB(unsigned long long count) { return size_literal(count, 10); }
/// Returns `count` times 1024^2 bytes.
consteval std::size_t operator""_MiB(unsigned long long count) { return size_literal(count, 20); }
/// Returns `count` times 1024^3 bytes.
consteval std::size_t operator""_GiB(unsigned long long count) { return size_literal(count, 30); }
/// Returns `count` times 1024^4 bytes.
consteval std::size_t operator""_TiB(unsigned long long count) { return size_literal(count, 40); }

}  // namespace literals
}  // namespace v0
}  // namespace faultline
