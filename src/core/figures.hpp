// Figures: the members of a struct of statistics as a table of names and member pointers. Sums, differences, copies,
// JSON and the C structs come from the table, so that no place spells the members out. One specialisation for each
// struct, next to it; those of the public structs are in stats_figures.hpp. Signal-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace faultline::core {

/// Counters only grow: the difference of two samples tells what happened between them. Gauges tell the state now.
enum class FigureKind : std::uint8_t { counter, gauge };

template <typename Struct>
struct Figure {
    std::string_view name;  ///< The member's.
    std::uint64_t Struct::*member;
    FigureKind kind;
};

/// Specialise it with `static constexpr std::array table{...}` of all members of type std::uint64_t, in their order,
/// and check the number of entries with FAULTLINE_CHECK_FIGURES.
template <typename Struct>
struct Figures;

/// Entries of a table: the name is written once.
#define FAULTLINE_COUNTER(type, member) \
    ::faultline::core::Figure<type> { #member, &type::member, ::faultline::core::FigureKind::counter }
#define FAULTLINE_GAUGE(type, member) \
    ::faultline::core::Figure<type> { #member, &type::member, ::faultline::core::FigureKind::gauge }

/// Refuses a struct with a member that its table lacks. `other_bytes`: the size of the members that are no figures.
#define FAULTLINE_CHECK_FIGURES(type, other_bytes)                                                              \
    static_assert(                                                                                              \
        ::faultline::core::Figures<type>::table.size() * sizeof(std::uint64_t) + (other_bytes) == sizeof(type), \
        "Figures<" #type "> lacks a member of the struct")

template <typename Struct>
constexpr std::span<const Figure<Struct>> figures_of() noexcept {
    return Figures<Struct>::table;
}

/// Adds each figure of `other` to its counterpart in `sum`.
template <typename Struct>
constexpr void add_figures(Struct& sum, const Struct& other) noexcept {
    for (const Figure<Struct>& figure : figures_of<Struct>()) sum.*figure.member += other.*figure.member;
}

/// Subtracts from each counter of `later` what `earlier` had counted; leaves the gauges. Counters are read while they
/// change, so a difference may be negative: then it is 0.
template <typename Struct>
constexpr void subtract_counters(Struct& later, const Struct& earlier) noexcept {
    for (const Figure<Struct>& figure : figures_of<Struct>()) {
        if (figure.kind != FigureKind::counter) continue;
        std::uint64_t& value = later.*figure.member;
        const std::uint64_t before = earlier.*figure.member;
        value = value > before ? value - before : 0;
    }
}

/// The figures that two structs have in common, by name.
template <typename To, typename From>
class CommonFigures {
    struct Pairs {
        std::array<std::pair<std::size_t, std::size_t>, Figures<To>::table.size()> indices{};
        std::size_t count = 0;
    };
    static constexpr Pairs kPairs = [] {
        Pairs pairs;
        for (std::size_t to = 0; to < Figures<To>::table.size(); ++to) {
            for (std::size_t from = 0; from < Figures<From>::table.size(); ++from) {
                if (Figures<To>::table[to].name == Figures<From>::table[from].name) {
                    pairs.indices[pairs.count++] = {to, from};
                }
            }
        }
        return pairs;
    }();

public:
    static constexpr std::size_t kCount = kPairs.count;

    static constexpr void copy(To& to, const From& from) noexcept {
        for (std::size_t i = 0; i < kCount; ++i) {
            const auto [to_index, from_index] = kPairs.indices[i];
            to.*Figures<To>::table[to_index].member = from.*Figures<From>::table[from_index].member;
        }
    }
};

/// Copies the figures that both structs have.
template <typename To, typename From>
constexpr void copy_common_figures(To& to, const From& from) noexcept {
    CommonFigures<To, From>::copy(to, from);
}

/// The same; refuses at compile time a `To` with a figure that `From` lacks.
template <typename To, typename From>
constexpr void copy_all_figures(To& to, const From& from) noexcept {
    static_assert(CommonFigures<To, From>::kCount == Figures<To>::table.size());
    CommonFigures<To, From>::copy(to, from);
}

}  // namespace faultline::core
