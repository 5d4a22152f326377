// faultline: the command. See docs/faultline.1.

#include "run/option_words.hpp"
#include "tool/doctor/doctor.hpp"
#include "tool/exit_code.hpp"
#include "tool/options.hpp"
#include "tool/run_command.hpp"
#include "tool/stacks/report_command.hpp"

#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

namespace faultline::tool {
namespace {

void complain(std::string_view what) {
    static_cast<void>(std::fprintf(stderr, "faultline: %s\n", run::in_words_of_options(what).c_str()));
}

int execute(int argc, const char* const* argv) {
    try {
        const std::optional<Options> options = parse_options(argc, argv, ::environ);
        if (!options) return kExitOk;
        if (options->command == Options::Command::doctor) {
            if (!options->environment_problem.empty()) complain(options->environment_problem);
            return doctor_command(options->doctor, options->run.settings);
        }
        if (options->command == Options::Command::report) return report_command(options->report);
        return run_command(options->run, ::environ);
    } catch (const std::invalid_argument& error) {
        complain(error.what());
        complain("see `faultline help`");
    } catch (const std::exception& error) {
        complain(error.what());
    }
    return kExitFailed;
}

}  // namespace
}  // namespace faultline::tool

int main(int argc, char** argv) {
    const int code = faultline::tool::execute(argc, argv);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    faultline::tool::complain("standard output could not be written");
    return code == faultline::tool::kExitOk ? faultline::tool::kExitFailed : code;
}
