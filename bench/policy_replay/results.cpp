#include "policy_replay/results.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <string_view>
#include <utility>

namespace bench {
namespace {

using Json = nlohmann::ordered_json;

// Six decimals: the files are compared.
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

Json fields_of(const Options& options, const TraceResult& trace, const Contestant& policy, const ReplayCounts& counts) {
    return {
        {"suite", trace.suite},
        {"trace", trace.trace},
        {"policy", policy.name},
        {"seed", trace.seed},
        {"pages", trace.pages},
        {"frames", trace.frames},
        {"references", counts.references},
        {"first_touches", counts.first_touches},
        {"hard_faults", counts.hard_faults},
        {"soft_faults", counts.soft_faults},
        {"protection_faults", counts.protection_faults},
        {"unmapped", counts.unmapped},
        {"written", counts.written},
        {"hit_rate", rounded(counts.hit_rate())},
        {"file_us_per_reference", rounded(file_costs(options).per_reference(counts))},
        {"compressed_us_per_reference", rounded(compressed_costs(options).per_reference(counts))},
    };
}

// The name of a trace file may contain any byte.
std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string csv_text(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{text};
    std::string quoted = "\"";
    for (const char character : text) quoted += character == '"' ? std::string{"\"\""} : std::string{character};
    return quoted + '"';
}

template <typename Each>
void for_each_row(const Options& options, const Results& results, Each each) {
    for (const TraceResult& trace : results.traces) {
        for (std::size_t i = 0; i < trace.counts.size(); ++i) {
            each(fields_of(options, trace, *results.policies[i], trace.counts[i]));
        }
    }
}

}  // namespace

CostModel file_costs(const Options& options) noexcept {
    return {options.file_us, options.soft_us, options.unmap_us, options.protection_us};
}

CostModel compressed_costs(const Options& options) noexcept {
    return {options.compressed_us, options.soft_us, options.unmap_us, options.protection_us};
}

void write_json(std::ostream& out, const Options& options, const Results& results) {
    const char* between = "[\n  ";
    for_each_row(options, results,
                 [&](const Json& fields) { out << std::exchange(between, ",\n  ") << text_of(fields); });
    out << "\n]\n";
}

void write_csv(std::ostream& out, const Options& options, const Results& results) {
    bool with_names = true;
    for_each_row(options, results, [&](const Json& fields) {
        std::string names;
        std::string values;
        for (const auto& [name, value] : fields.items()) {
            const char* const between = names.empty() ? "" : ",";
            names += between + name;
            values += between + (value.is_string() ? csv_text(value.get<std::string>()) : text_of(value));
        }
        if (std::exchange(with_names, false)) out << names << '\n';
        out << values << '\n';
    });
}

}  // namespace bench
