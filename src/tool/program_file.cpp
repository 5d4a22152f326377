#include "tool/program_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace faultline::tool {
namespace {

bool can_be_run(const std::string& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(file.c_str(), X_OK) == 0;
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* const variable = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): never set here
    std::string_view path = variable != nullptr ? variable : "/bin:/usr/bin";
    for (;;) {
        const std::string_view directory = path.substr(0, path.find(':'));
        std::string file = (directory.empty() ? "." : std::string{directory}) + "/" + name;
        if (can_be_run(file)) return file;
        if (directory.size() == path.size()) return std::nullopt;
        path.remove_prefix(directory.size() + 1);
    }
}

ProgramObstacle obstacle_to_preload(const std::string& file) {
    const run::ProgramCheck check = run::check_program(file.c_str(), run::LookForCapabilities::yes);
    if (check.obstacle == run::Obstacle::none) return {};
    const std::string words{run::words_of(check.obstacle)};
    const std::string interpreter = check.interpreter.data();
    return {check.obstacle, interpreter.empty() ? words : "is a script for " + interpreter + ", which " + words};
}

}  // namespace faultline::tool
