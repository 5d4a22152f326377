// CodePlace: a place in a program's code as a person names it. CodePlaces keeps each one once, under a number.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace faultline::tool {

struct CodePlace {
    std::string function;  ///< Empty: not known.
    std::string file;      ///< Of the source; empty: not known.
    int line = 0;
    std::string object;        ///< Path of the program or library; empty: code that no file holds.
    std::uint64_t offset = 0;  ///< From the function's begin, else from the object's; 0 if the line is known.

    friend auto operator<=>(const CodePlace&, const CodePlace&) = default;

    /// Returns "function", "function+0x12", "libx.so+0x1234" or "[unknown code]".
    [[nodiscard]] std::string name() const;
    /// Returns "file.c:12" without the directories of the file; empty if the line is not known.
    [[nodiscard]] std::string line_text() const;
    /// Returns the object's name without directories.
    [[nodiscard]] std::string object_name() const;
    /// Returns true for the C library, the dynamic loader, faultline, and headers of the compiler and the system.
    [[nodiscard]] bool of_system() const;
    /// Returns true for faultline's own libraries.
    [[nodiscard]] bool of_faultline() const;
    /// Returns true for the functions in them that replace those of the C library.
    [[nodiscard]] bool of_interposed() const;
};

using PlaceId = std::uint32_t;

class CodePlaces {
public:
    [[nodiscard]] PlaceId id_of(const CodePlace& place) {
        const auto [at, added] = ids_.try_emplace(place, static_cast<PlaceId>(places_.size()));
        if (added) places_.push_back(place);
        return at->second;
    }
    [[nodiscard]] const CodePlace& operator[](PlaceId id) const { return places_[id]; }

private:
    std::map<CodePlace, PlaceId> ids_;
    std::vector<CodePlace> places_;
};

/// A call stack, innermost place first. Calls that the compiler has inlined are places of their own.
using CallStack = std::vector<PlaceId>;

}  // namespace faultline::tool
