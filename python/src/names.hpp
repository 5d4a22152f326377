// Parses what Python programs pass as text: names of enumerations and sizes. Bad text is a ValueError.
#pragma once

#include <faultline/names.hpp>

#include <pybind11/pybind11.h>

#include <string>

namespace faultline::python {

/// Returns the value named `text`. `what` begins the message: "invalid delivery 'x': expected automatic, ...".
template <NamedEnum Enum>
[[nodiscard]] Enum named(const std::string& text, const char* what) {
    if (const auto value = parse<Enum>(text)) return *value;
    std::string message = std::string{"invalid "} + what + " '" + text + "': expected ";
    const char* separator = "";
    for (const char* const name : names<Enum>()) {
        message += separator;
        message += name;
        separator = ", ";
    }
    throw pybind11::value_error(message);
}

/// Returns the bytes that `text`, such as "512M", means.
[[nodiscard]] std::size_t size_of(const std::string& text);

}  // namespace faultline::python
