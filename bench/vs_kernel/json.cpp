// See json.hpp.
#include "vs_kernel/json.hpp"

#include <iomanip>
#include <stdexcept>

namespace bench {
namespace {

// Writes one object, with its commas.
class Object {
public:
    explicit Object(std::ostream& out) : out_{out} { out_ << "  {"; }
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    ~Object() { out_ << '}'; }

    void text(const char* name, const std::string& value) { key(name) << '"' << value << '"'; }
    void number(const char* name, double value) { key(name) << std::setprecision(9) << value; }
    void number(const char* name, std::uint64_t value) { key(name) << value; }
    // Null if the divisor is 0.
    void number_above_zero(const char* name, double value) {
        if (value > 0) {
            number(name, value);
        } else {
            key(name) << "null";
        }
    }
    void latencies(const char* name, const std::array<double, kQuantiles>& values) {
        std::ostream& out = key(name);
        for (std::size_t i = 0; i < kQuantiles; ++i) {
            out << (i == 0 ? "[[" : ", [") << std::setprecision(4) << quantile_fraction(i) << ", "
                << std::setprecision(9) << values[i] << ']';
        }
        out << ']';
    }
    void truth(const char* name, bool value) { key(name) << (value ? "true" : "false"); }

private:
    std::ostream& key(const char* name) {
        out_ << separator_ << '"' << name << "\": ";
        separator_ = ", ";
        return out_;
    }

    std::ostream& out_;
    const char* separator_ = "";
};

void write_figures(Object& object, const std::vector<Round>& rounds) {
    const std::vector<double> speeds = figures(rounds, &Round::ops_per_s);
    const auto [low, high] = std::minmax_element(speeds.begin(), speeds.end());
    object.number("ops_per_s", median(speeds));
    object.number("ops_per_s_min", *low);
    object.number("ops_per_s_max", *high);
    object.number("p50_us", median_of(rounds, &Round::p50_us));
    object.number("p99_us", median_of(rounds, &Round::p99_us));
    object.number("p999_us", median_of(rounds, &Round::p999_us));
    object.number("hard_faults", median_of(rounds, &Round::hard_faults));
    object.number("soft_faults", median_of(rounds, &Round::soft_faults));
    object.number("cpu_s", median_of(rounds, &Round::cpu_s));
    object.number_above_zero("cpu_s_per_million_faults", median_of(rounds, &Round::cpu_s_per_million_faults));
    object.latencies("latency_quantiles_us", latency_quantiles_of(rounds));
    object.number("peak_rss_bytes", peak_rss_of(rounds));
}

void write_run(std::ostream& out, const Options& options, const SystemResult& system, const std::string& paired_with,
               const ModeResult& mode) {
    const std::vector<Round>& populating = system.modes.front().rounds;
    Object object{out};
    object.text("system", system.name);
    object.text("paired_with", paired_with);
    object.text("store", system.store);
    object.text("delivery", system.delivery);
    object.text("mode", mode.mode.name);
    object.text("sweep", name(options.sweep));
    object.number("threads", std::uint64_t{is_populate(mode.mode) ? 1 : options.threads});
    object.number("size_bytes", std::uint64_t{options.size});
    object.number("resident_bytes", std::uint64_t{options.resident});
    object.number("page_bytes", std::uint64_t{system.page_bytes});
    if (mode.mode.pattern == Pattern::named) object.number("named_at_once", std::uint64_t{named_at_once(options)});
    object.number("rounds", std::uint64_t{mode.rounds.size()});
    object.number("round_s", options.seconds);
    object.number_above_zero("populate_us_per_page", 1e6 / median_of(populating, &Round::ops_per_s));
    object.truth("verified", system.failure.empty() && system.verification.passed());
    object.number("restarts", std::uint64_t{system.restarts});
    write_figures(object, mode.rounds);
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
        out_ << separator_;
        separator_ = ",\n";
        write_run(out_, options, system, paired_with, mode);
    }
}

void JsonFile::close() {
    if (!out_.is_open()) return;
    out_ << "\n]\n";
    out_.close();
    if (!out_) throw std::runtime_error{"cannot write " + path_.string()};
}

}  // namespace bench
