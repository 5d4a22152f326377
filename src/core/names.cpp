// The names of the public enumerations: one table for each, in the order of its values.

#include <faultline/access_violation.hpp>
#include <faultline/names.hpp>
#include <faultline/segment_info.hpp>
#include <faultline/types.hpp>

#include <array>
#include <span>

namespace faultline {
namespace {

/// Checks at compile time that `last` is the value with the last of `names`.
template <auto last, typename... Name>
consteval std::array<const char*, sizeof...(Name)> table(Name... names) {
    static_assert(static_cast<std::size_t>(last) + 1 == sizeof...(Name), "a value lacks its name");
    return {names...};
}

constexpr auto kDeliveries = table<Delivery::sigsegv>("automatic", "uffd_threads", "uffd_signal", "sigsegv");
constexpr auto kEvictions = table<Eviction::guard>("automatic", "move", "copy", "protect", "guard");
#define FAULTLINE_NAME(name, word) #name,
constexpr std::array kReplacements{FAULTLINE_REPLACEMENTS(FAULTLINE_NAME)};
#undef FAULTLINE_NAME
constexpr auto kForkPolicies = table<ForkPolicy::inherit>("refuse", "inherit");
constexpr auto kAccesses = table<Access::read_execute>("read_write", "read", "none", "read_execute");
constexpr auto kPurposes = table<PinFor::writing>("reading", "writing");
constexpr auto kAdvices = table<Advice::cold>("normal", "sequential", "random", "willneed", "dontneed", "cold");
constexpr auto kLogLevels = table<LogLevel::error>("debug", "info", "warning", "error");
constexpr auto kAttempts = table<Attempt::execute>("read", "write", "execute");
constexpr auto kViolations = table<ViolationKind::stack_overflow>("unmapped", "forbidden", "stack_overflow");
constexpr auto kAnswers = table<ViolationAnswer::retry>("deliver", "retry");
constexpr auto kSegments = table<SegmentKind::stack>("image", "bss", "heap", "anonymous", "file", "stack");

}  // namespace

template <>
std::span<const char* const> names<Delivery>() noexcept {
    return kDeliveries;
}
template <>
std::span<const char* const> names<Eviction>() noexcept {
    return kEvictions;
}
template <>
std::span<const char* const> names<Replacement>() noexcept {
    return kReplacements;
}
template <>
std::span<const char* const> names<ForkPolicy>() noexcept {
    return kForkPolicies;
}
template <>
std::span<const char* const> names<Access>() noexcept {
    return kAccesses;
}
template <>
std::span<const char* const> names<PinFor>() noexcept {
    return kPurposes;
}
template <>
std::span<const char* const> names<Advice>() noexcept {
    return kAdvices;
}
template <>
std::span<const char* const> names<LogLevel>() noexcept {
    return kLogLevels;
}
template <>
std::span<const char* const> names<Attempt>() noexcept {
    return kAttempts;
}
template <>
std::span<const char* const> names<ViolationKind>() noexcept {
    return kViolations;
}
template <>
std::span<const char* const> names<ViolationAnswer>() noexcept {
    return kAnswers;
}
template <>
std::span<const char* const> names<SegmentKind>() noexcept {
    return kSegments;
}

}  // namespace faultline
