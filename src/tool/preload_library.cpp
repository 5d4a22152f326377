#include "tool/preload_library.hpp"

#include "run/launcher.hpp"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#ifndef FAULTLINE_LIBDIR_FROM_BINDIR
#error "the build says where the libraries are, seen from the command"
#endif

namespace faultline::tool {
namespace {

constexpr std::string_view kPreload = "LD_PRELOAD=";

/// Returns the folder of this command.
std::filesystem::path own_folder() {
    std::error_code error;
    std::filesystem::path command = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) return command.parent_path();
    // Without /proc: the path that the kernel got for this command, which a shell has looked up in $PATH.
    const auto* const given = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
    if (given != nullptr) command = std::filesystem::canonical(given, error);
    if (given == nullptr || error) {
        throw std::runtime_error("cannot find the library to preload: /proc/self/exe cannot be read (" +
                                 error.message() + "); mount /proc, or name the library: run --library FILE");
    }
    return command.parent_path();
}

/// Returns true if the file's header is that of a shared object for this machine.
bool is_shared_object(const std::string& file) {
    Elf64_Ehdr header{};
    std::ifstream stream{file, std::ios::binary};
    stream.read(reinterpret_cast<char*>(&header), sizeof header);
    return stream && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_machine == EM_X86_64 && header.e_type == ET_DYN;
}

}  // namespace

std::string check_preload_library(const std::string& file) {
    const std::string what = "--library: '" + file + "' ";
    std::error_code error;
    const std::filesystem::path path = std::filesystem::canonical(file, error);
    if (error) throw std::runtime_error(what + "cannot be found: " + error.message());
    if (::access(path.c_str(), R_OK) != 0) {
        throw std::runtime_error(what + "cannot be read: " + std::system_category().message(errno));
    }
    if (!is_shared_object(path)) throw std::runtime_error(what + "is not a shared library for x86-64");
    return path;
}

std::string find_preload_library() {
    const std::filesystem::path here = own_folder();
    std::string looked;
    for (const char* const directory : {".", "preload", FAULTLINE_LIBDIR_FROM_BINDIR, "../lib"}) {
        std::filesystem::path file = (here / directory / "libfaultline-preload.so").lexically_normal();
        std::error_code ignored;
        if (std::filesystem::exists(file, ignored)) return file;
        if (looked.find(file.string()) != std::string::npos) continue;
        looked += (looked.empty() ? "" : ", ") + file.string();
    }
    throw std::runtime_error("the library to preload is missing; looked for " + looked +
                             "; name it by run --library FILE");
}

std::string find_launcher(const std::string& library) {
    const std::filesystem::path folder = std::filesystem::path{library}.parent_path();
    for (const std::string_view between : run::kLauncherFolders) {
        std::string file = (folder / between / run::kLauncherName).lexically_normal();
        if (::access(file.c_str(), X_OK) == 0) return file;
    }
    return {};
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
