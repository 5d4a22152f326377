// JSON for reports: objects that keep the order of their keys, and the figures of a struct under their own names.
// Used by the command and by the demos.
#pragma once

#include "core/figures.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace faultline::display {

using Json = nlohmann::ordered_json;

/// Adds the figures of a struct under the names of its members.
template <typename Struct>
void add_figures(Json& json, const Struct& values) {
    for (const core::Figure<Struct>& figure : core::figures_of<Struct>()) {
        json[std::string{figure.name}] = values.*figure.member;
    }
}

/// Returns the value with ten significant digits, so that a report shows no digits that were not measured. NaN and
/// infinity become null when they are printed: JSON does not have them.
[[nodiscard]] double rounded(double value);

/// Returns the text of a report: one member per line, and a newline at the end. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_text(const Json& json);

}  // namespace faultline::display
