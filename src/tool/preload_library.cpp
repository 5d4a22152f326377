#include "tool/preload_library.hpp"

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#ifndef FAULTLINE_LIBDIR_FROM_BINDIR
#error "the build says where the libraries are, seen from the command"
#endif

namespace faultline::tool {
namespace {

constexpr std::string_view kPreload = "LD_PRELOAD=";

}  // namespace

std::string find_preload_library() {
    const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    std::string looked;
    for (const char* const directory : {".", "preload", FAULTLINE_LIBDIR_FROM_BINDIR, "../lib"}) {
        std::filesystem::path file = (here / directory / "libfaultline-preload.so").lexically_normal();
        std::error_code ignored;
        if (std::filesystem::exists(file, ignored)) return file;
        if (looked.find(file.string()) != std::string::npos) continue;
        looked += (looked.empty() ? "" : ", ") + file.string();
    }
    throw std::runtime_error("the library to preload is missing; looked for " + looked);
}

std::vector<std::string> environment_of_program(const char* const* environment, const std::string& library,
                                                const run::Settings& settings) {
    if (library.find_first_of(" :") != std::string::npos) {
        throw std::invalid_argument("the dynamic loader cannot preload '" + library +
                                    "': its path must have neither a space nor a colon");
    }
    std::vector<std::string> variables;
    std::string preload = std::string{kPreload} + library;
    for (; environment != nullptr && *environment != nullptr; ++environment) {
        const std::string_view variable{*environment};
        if (variable.rfind(kPreload, 0) == 0) {
            if (variable.size() > kPreload.size()) preload += ":" + std::string{variable.substr(kPreload.size())};
        } else if (!run::is_setting(variable)) {
            variables.emplace_back(variable);
        }
    }
    variables.push_back(std::move(preload));
    for (std::string& setting : run::environment_for(settings)) variables.push_back(std::move(setting));
    return variables;
}

}  // namespace faultline::tool
