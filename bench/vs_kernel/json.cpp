// See json.hpp.
#include "vs_kernel/json.hpp"

#include <iomanip>

namespace bench {
namespace {

// One object; writes the commas.
class Object {
public:
    explicit Object(std::ostream& out) : out_{out} { out_ << "  {"; }
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    ~Object() { out_ << '}'; }

    void text(const char* name, const std::string& value) { key(name) << '"' << value << '"'; }
    void number(const char* name, double value) { key(name) << std::setprecision(9) << value; }
    void number(const char* name, std::uint64_t value) { key(name) << value; }
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
    object.number("peak_rss_bytes", peak_rss_of(rounds));
}

void write_run(std::ostream& out, const Options& options, const SystemResult& system, const std::string& paired_with,
               const ModeResult& mode) {
    Object object{out};
    object.text("system", system.name);
    object.text("paired_with", paired_with);
    object.text("store", system.store);
    object.text("delivery", system.delivery);
    object.text("mode", mode.mode.name);
    object.number("threads", std::uint64_t{options.threads});
    object.number("size_bytes", std::uint64_t{options.size});
    object.number("resident_bytes", std::uint64_t{options.resident});
    object.number("page_bytes", std::uint64_t{system.name == "faultline" ? options.page_size : kTouchedPageBytes});
    object.number("rounds", std::uint64_t{mode.rounds.size()});
    object.number("round_s", options.seconds);
    object.number("populate_us_per_page", system.populate_us_per_page);
    object.truth("verified", system.failure.empty() && system.verification.passed());
    object.number("restarts", std::uint64_t{system.restarts});
    write_figures(object, mode.rounds);
}

}  // namespace

void write_json(std::ostream& out, const Options& options, const std::vector<Pairing>& pairings) {
    const char* separator = "\n";
    out << '[';
    const auto write_system = [&](const SystemResult& system, const std::string& paired_with) {
        for (const ModeResult& mode : system.modes) {
            if (mode.rounds.empty()) continue;
            out << separator;
            separator = ",\n";
            write_run(out, options, system, paired_with, mode);
        }
    };
    for (const Pairing& pairing : pairings) {
        write_system(pairing.ours, pairing.theirs.empty() ? "" : pairing.theirs.front().name);
        for (const SystemResult& system : pairing.theirs) write_system(system, pairing.ours.name);
    }
    out << "\n]\n";
}

}  // namespace bench
