#include "policy_replay/results.hpp"

#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

namespace bench {
namespace {

struct Field {
    const char* name;
    std::string value;
    bool is_text;
};

std::string decimal(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.6f", value);
    return text.data();
}

std::vector<Field> fields_of(const Options& options, const TraceResult& trace, const Contestant& policy,
                             const ReplayCounts& counts) {
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    return {
        {"suite", trace.suite, true},
        {"trace", trace.trace, true},
        {"policy", policy.name, true},
        {"seed", number(trace.seed), false},
        {"pages", number(trace.pages), false},
        {"frames", number(trace.frames), false},
        {"references", number(counts.references), false},
        {"first_touches", number(counts.first_touches), false},
        {"hard_faults", number(counts.hard_faults), false},
        {"soft_faults", number(counts.soft_faults), false},
        {"unmapped", number(counts.unmapped), false},
        {"written", number(counts.written), false},
        {"hit_rate", decimal(counts.hit_rate()), false},
        {"file_us_per_reference", decimal(file_costs(options).per_reference(counts)), false},
        {"compressed_us_per_reference", decimal(compressed_costs(options).per_reference(counts)), false},
    };
}

// Escapes a string: the name of a trace file may contain any character.
std::string json_text(std::string_view text) {
    std::string quoted = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') {
            quoted += {'\\', character};
        } else if (static_cast<unsigned char>(character) < 0x20) {
            std::array<char, 8> code{};
            std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned>(character));
            quoted += code.data();
        } else {
            quoted += character;
        }
    }
    return quoted + '"';
}

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

CostModel file_costs(const Options& options) noexcept { return {options.file_us, options.soft_us, options.unmap_us}; }

CostModel compressed_costs(const Options& options) noexcept {
    return {options.compressed_us, options.soft_us, options.unmap_us};
}

void write_json(std::ostream& out, const Options& options, const Results& results) {
    const char* between_rows = "\n";
    out << '[';
    for_each_row(options, results, [&](const std::vector<Field>& fields) {
        out << std::exchange(between_rows, ",\n") << "  {";
        const char* between = "";
        for (const Field& field : fields) {
            out << std::exchange(between, ", ") << '"' << field.name << "\": ";
            out << (field.is_text ? json_text(field.value) : field.value);
        }
        out << '}';
    });
    out << "\n]\n";
}

void write_csv(std::ostream& out, const Options& options, const Results& results) {
    bool with_names = true;
    for_each_row(options, results, [&](const std::vector<Field>& fields) {
        const auto write_line = [&](auto text_of) {
            const char* between = "";
            for (const Field& field : fields) out << std::exchange(between, ",") << text_of(field);
            out << '\n';
        };
        if (std::exchange(with_names, false)) write_line([](const Field& field) { return std::string{field.name}; });
        write_line([](const Field& field) { return csv_text(field.value); });
    });
}

}  // namespace bench
