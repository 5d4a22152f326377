// Converts between the enumeration constants of faultline.h and the C++ enumerations, whose values are equal. An
// invalid number throws std::system_error with EINVAL. Included by the C functions; the C++ interface has no numbers.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <span>

namespace faultline::api {

/// Throws for a number that is not one of the constants of an enumeration. `what` is the word for it in
/// messages, and `prefix` what the constants' names begin with.
[[noreturn]] void refuse_word(int word, const char* what, const char* prefix, std::span<const char* const> names);

/// The words of an enumeration in messages.
template <NamedEnum Enum>
struct Wording;
template <>
struct Wording<Delivery> {
    static constexpr const char* kWhat = "delivery";
    static constexpr const char* kPrefix = "FAULTLINE_DELIVERY_";
};
template <>
struct Wording<Eviction> {
    static constexpr const char* kWhat = "eviction";
    static constexpr const char* kPrefix = "FAULTLINE_EVICTION_";
};
template <>
struct Wording<Replacement> {
    static constexpr const char* kWhat = "replacement";
    static constexpr const char* kPrefix = "FAULTLINE_REPLACEMENT_";
};
template <>
struct Wording<ForkPolicy> {
    static constexpr const char* kWhat = "fork policy";
    static constexpr const char* kPrefix = "FAULTLINE_FORK_";
};
template <>
struct Wording<Access> {
    static constexpr const char* kWhat = "access";
    static constexpr const char* kPrefix = "FAULTLINE_ACCESS_";
};
template <>
struct Wording<PinFor> {
    static constexpr const char* kWhat = "purpose of a pin";
    static constexpr const char* kPrefix = "FAULTLINE_PIN_FOR_";
};
template <>
struct Wording<Advice> {
    static constexpr const char* kWhat = "advice";
    static constexpr const char* kPrefix = "FAULTLINE_ADVICE_";
};

/// Returns the value of a constant of faultline.h.
template <NamedEnum Enum>
[[nodiscard]] Enum value_of(int word) {
    const std::span<const char* const> all = names<Enum>();
    if (word < 0 || static_cast<std::size_t>(word) >= all.size()) {
        refuse_word(word, Wording<Enum>::kWhat, Wording<Enum>::kPrefix, all);
    }
    return static_cast<Enum>(word);
}

/// Returns the constant of faultline.h for a value.
template <NamedEnum Enum>
[[nodiscard]] constexpr int word_of(Enum value) noexcept {
    return static_cast<int>(value);
}

}  // namespace faultline::api
