/// @file
/// Names of the enumerations' values: `to_string`, `parse` and `names`. Options of the command, environment variables,
/// messages, JSON and the C interface use the same names. Each header that declares an enumeration includes this one.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace faultline {
inline namespace v0 {

/// Returns the names of all values of an enumeration: the name at index 0 is that of the value 0, and so on. The
/// strings live as long as the library. Signal-safe. Specialised for each enumeration of this interface.
template <typename Enum>
[[nodiscard]] std::span<const char* const> names() noexcept = delete;

/// An enumeration of this interface, such as `Delivery`.
template <typename Enum>
concept NamedEnum = std::is_enum_v<Enum> && requires {
    names<Enum>();
};

/// Returns the name of a value, such as "uffd_signal"; "unknown" for a number that the enumeration does not have. Never
/// null; the string lives as long as the library. Signal-safe.
template <NamedEnum Enum>
[[nodiscard]] const char* to_string(Enum value) noexcept {
    const std::span<const char* const> all = names<Enum>();
    const auto index = static_cast<std::size_t>(value);
    return index < all.size() ? all[index] : "unknown";
}

/// Returns the value whose name is `text`, spelled exactly as `to_string` spells it; nothing for any other text.
/// Signal-safe.
///
///     const std::optional<faultline::Delivery> delivery = faultline::parse<faultline::Delivery>("uffd_signal");
template <NamedEnum Enum>
[[nodiscard]] std::optional<Enum> parse(std::string_view text) noexcept {
    const std::span<const char* const> all = names<Enum>();
    for (std::size_t index = 0; index < all.size(); ++index) {
        if (text == all[index]) return static_cast<Enum>(index);
    }
    return std::nullopt;
}

}  // namespace v0
}  // namespace faultline
