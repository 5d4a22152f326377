// JsonObject: one JSON object, written key by key. It parses nothing.
// Used for the report of `faultline run`, for the doctor and by the demos.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::display {

class JsonObject {
public:
    JsonObject& add(std::string_view key, std::string_view value);
    JsonObject& add(std::string_view key, const char* value) { return add(key, std::string_view{value}); }
    JsonObject& add(std::string_view key, const std::string& value) { return add(key, std::string_view{value}); }

    JsonObject& add(std::string_view key, const JsonObject& value) { return add_raw(key, value.text()); }
    JsonObject& add(std::string_view key, const std::vector<JsonObject>& values);
    JsonObject& add(std::string_view key, std::same_as<bool> auto value) {
        return add_raw(key, value ? "true" : "false");
    }

    /// Writes null for NaN and infinity, which JSON does not have.
    JsonObject& add(std::string_view key, double value);

    JsonObject& add(std::string_view key,
                    std::unsigned_integral auto value) requires(!std::same_as<decltype(value), bool>) {
        return add_raw(key, std::to_string(value));
    }

    /// Returns the object, one member per line, each line indented by `indent`.
    [[nodiscard]] std::string text(std::string_view indent = "") const;

private:
    JsonObject& add_raw(std::string_view key, std::string_view value);

    std::string members_;
};

/// Adds the counts of faults and evictions under the names of RegionStats's members.
template <typename Counted>
JsonObject& add_paging(JsonObject& json, const Counted& counted) {
    return json.add("first_touches", counted.first_touches)
        .add("hard_faults", counted.hard_faults)
        .add("soft_faults", counted.soft_faults)
        .add("write_faults", counted.write_faults)
        .add("failed_faults", counted.failed_faults)
        .add("evictions", counted.evictions)
        .add("clean_evictions", counted.clean_evictions)
        .add("pages_read_ahead", counted.pages_read_ahead)
        .add("bytes_read", counted.bytes_read)
        .add("bytes_written", counted.bytes_written);
}

/// Returns the objects as an array that ends with a newline.
[[nodiscard]] std::string json_array(const std::vector<JsonObject>& objects);

}  // namespace faultline::display
