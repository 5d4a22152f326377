// See json.hpp.
#include "vs_kernel/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace bench {
namespace {

using Json = nlohmann::ordered_json;

// Nine significant digits: more were not measured.
double rounded(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.9g", value);
    return std::strtod(text.data(), nullptr);
}

// Null if the divisor is 0.
Json number_above_zero(double value) { return value > 0 ? Json(rounded(value)) : Json(); }

Json latencies(const std::array<double, kQuantiles>& values) {
    Json list = Json::array();
    for (std::size_t i = 0; i < kQuantiles; ++i) {
        list.push_back(Json::array({quantile_fraction(i), rounded(values[i])}));
    }
    return list;
}

void add_figures(Json& object, const std::vector<Round>& rounds) {
    const std::vector<double> speeds = figures(rounds, &Round::ops_per_s);
    const auto [low, high] = std::minmax_element(speeds.begin(), speeds.end());
    const auto of_rounds = [&](double Round::*figure) { return rounded(median_of(rounds, figure)); };
    object["ops_per_s"] = rounded(median(speeds));
    object["ops_per_s_min"] = rounded(*low);
    object["ops_per_s_max"] = rounded(*high);
    object["p50_us"] = of_rounds(&Round::p50_us);
    object["p99_us"] = of_rounds(&Round::p99_us);
    object["p999_us"] = of_rounds(&Round::p999_us);
    object["hard_faults"] = of_rounds(&Round::hard_faults);
    object["soft_faults"] = of_rounds(&Round::soft_faults);
    object["cpu_s"] = of_rounds(&Round::cpu_s);
    object["cpu_s_per_million_faults"] = number_above_zero(median_of(rounds, &Round::cpu_s_per_million_faults));
    object["latency_quantiles_us"] = latencies(latency_quantiles_of(rounds));
    object["peak_rss_bytes"] = peak_rss_of(rounds);
}

Json json_of(const Options& options, const SystemResult& system, const std::string& paired_with,
             const ModeResult& mode) {
    const std::vector<Round>& populating = system.modes.front().rounds;
    Json object{{"system", system.name},
                {"paired_with", paired_with},
                {"store", system.store},
                {"delivery", system.delivery},
                {"mode", mode.mode.name},
                {"sweep", name(options.sweep)},
                {"threads", is_populate(mode.mode) ? 1 : options.threads},
                {"size_bytes", options.size},
                {"resident_bytes", options.resident},
                {"page_bytes", system.page_bytes}};
    if (mode.mode.pattern == Pattern::named) object["named_at_once"] = named_at_once(options);
    object["rounds"] = mode.rounds.size();
    object["round_s"] = rounded(options.seconds);
    object["populate_us_per_page"] = number_above_zero(1e6 / median_of(populating, &Round::ops_per_s));
    object["verified"] = system.failure.empty() && system.verification.passed();
    object["restarts"] = system.restarts;
    add_figures(object, mode.rounds);
    return object;
}

}  // namespace

JsonFile::JsonFile(const std::filesystem::path& path) : path_{path} {
    if (path_.empty()) return;
    out_.open(path_);
    if (!out_) throw std::runtime_error{"cannot write " + path_.string()};
    out_ << '[';
}

JsonFile::~JsonFile() {
    if (out_.is_open()) out_ << "\n]\n";
}

void JsonFile::add(const Options& options, const Pairing& pairing) {
    if (!out_.is_open()) return;
    add_system(options, pairing.ours, pairing.theirs.empty() ? "" : pairing.theirs.front().name);
    for (const SystemResult& system : pairing.theirs) add_system(options, system, pairing.ours.name);
    out_.flush();  // so that a long sweep that is killed keeps its results
}

void JsonFile::add_system(const Options& options, const SystemResult& system, const std::string& paired_with) {
    for (const ModeResult& mode : system.modes) {
        if (mode.rounds.empty()) continue;
        out_ << separator_ << "  " << json_of(options, system, paired_with, mode).dump();
        separator_ = ",\n";
    }
}

void JsonFile::close() {
    if (!out_.is_open()) return;
    out_ << "\n]\n";
    out_.close();
    if (!out_) throw std::runtime_error{"cannot write " + path_.string()};
}

}  // namespace bench
