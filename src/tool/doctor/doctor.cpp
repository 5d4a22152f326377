#include "tool/doctor/doctor.hpp"

#include "display/terminal.hpp"
#include "store/swap_file.hpp"
#include "tool/exit_code.hpp"
#include "tool/preload_library.hpp"

#include <cstdio>
#include <exception>
#include <fstream>
#include <string_view>

namespace faultline::tool {
namespace {

void look_at_library(Findings& findings) {
    try {
        findings.push_back({"library", Verdict::good, "programs get " + find_preload_library(), {}});
    } catch (const std::exception& error) {
        findings.push_back({"library", Verdict::bad, error.what(), "install faultline whole, or use run --library"});
    }
}

std::string directory_of(const DoctorOptions& options, const run::Settings& settings) {
    if (!options.swap_directory.empty()) return options.swap_directory;
    if (!settings.swap_directory.empty()) return std::string{settings.swap_directory};
    return store::default_swap_directory();
}

}  // namespace

std::string first_word_of(const std::string& file) {
    std::ifstream stream{file};
    std::string word;
    stream >> word;
    return word;
}

int doctor_command(const DoctorOptions& options, const run::Settings& settings) {
    Findings findings;
    const std::string swap_directory = directory_of(options, settings);
    run::Settings of_program = settings;
    of_program.swap_directory = swap_directory;
    look_at_machine(findings, settings.resident_limit);
    look_at_library(findings);
    look_at_faults(findings);
    look_at_costs(findings);
    look_at_limits(findings, of_program);
    look_at_storage(findings, swap_directory);
    const std::string text =
        options.json ? findings_json(findings) : findings_text(findings, display::terminal_columns(stdout));
    static_cast<void>(std::fputs(text.c_str(), stdout));
    return all_work(findings) ? kExitOk : kExitLacking;
}

}  // namespace faultline::tool
