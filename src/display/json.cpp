#include "display/json.hpp"

#include "display/format.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::display {
namespace {

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (byte < 0x20) {
            result += printed("\\u%04x", static_cast<unsigned>(byte));
        } else {
            result += c;
        }
    }
    return result + '"';
}

std::string listed(const std::vector<JsonObject>& objects) {
    std::string result = "[";
    for (const JsonObject& object : objects) result += (result.size() > 1 ? ",\n" : "\n") + object.text("  ");
    return result + "\n]";
}

std::string indented_lines(std::string_view members, std::string_view indent) {
    std::string result;
    while (!members.empty()) {
        const std::string_view line = members.substr(0, members.find('\n'));
        result.append("\n").append(indent).append("  ").append(line);
        members.remove_prefix(line.size() < members.size() ? line.size() + 1 : line.size());
    }
    return result;
}

}  // namespace

JsonObject& JsonObject::add(std::string_view key, std::string_view value) { return add_raw(key, quoted(value)); }

JsonObject& JsonObject::add(std::string_view key, double value) {
    return add_raw(key, std::isfinite(value) ? printed("%.10g", value) : "null");
}

JsonObject& JsonObject::add(std::string_view key, const std::vector<JsonObject>& values) {
    return add_raw(key, listed(values));
}

JsonObject& JsonObject::add_raw(std::string_view key, std::string_view value) {
    // A line break separates members until they are printed: quoted text contains none.
    if (!members_.empty()) members_ += ",\n";
    members_.append(quoted(key)).append(": ").append(value);
    return *this;
}

std::string JsonObject::text(std::string_view indent) const {
    return std::string{indent} + "{" + indented_lines(members_, indent) + "\n" + std::string{indent} + "}";
}

std::string json_array(const std::vector<JsonObject>& objects) { return listed(objects) + "\n"; }

}  // namespace faultline::display
