#include "tool/program_file.hpp"

#include <elf.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

namespace faultline::tool {
namespace {

bool can_be_run(const std::string& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(file.c_str(), X_OK) == 0;
}

/// The beginning of a file: the headers of programs lie there.
std::string beginning_of(const std::string& file) {
    std::array<char, 4096> bytes{};
    std::ifstream stream{file, std::ios::binary};
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return {bytes.data(), static_cast<std::size_t>(stream.gcount())};
}

/// Of "#!/usr/bin/env python3": /usr/bin/env.
std::string interpreter_of(std::string_view script) {
    const std::size_t begin = script.find_first_not_of(" \t", 2);
    if (begin == std::string_view::npos) return {};
    return std::string{script.substr(begin, script.find_first_of(" \t\n", begin) - begin)};
}

/// With these the dynamic loader forgets LD_PRELOAD.
bool changes_privileges(const std::string& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return false;
    const bool other_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != ::geteuid();
    const bool other_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != ::getegid();
    const bool capabilities = ::geteuid() != 0 && ::getxattr(file.c_str(), "security.capability", nullptr, 0) > 0;
    return other_user || other_group || capabilities;
}

std::string why_not_preloaded_elf(const std::string& bytes) {
    if (bytes.size() < sizeof(Elf64_Ehdr)) return {};
    Elf64_Ehdr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) return "is not a program for x86-64";
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
        const std::size_t offset = header.e_phoff + i * sizeof(Elf64_Phdr);
        if (offset + sizeof(Elf64_Phdr) > bytes.size()) return {};  // too far behind to be sure
        Elf64_Phdr segment{};
        std::memcpy(&segment, bytes.data() + offset, sizeof segment);
        if (segment.p_type == PT_INTERP) return {};
    }
    return "is statically linked";
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* const variable = std::getenv("PATH");
    std::string_view path = variable != nullptr ? variable : "/bin:/usr/bin";
    for (;;) {
        const std::string_view directory = path.substr(0, path.find(':'));
        std::string file = (directory.empty() ? "." : std::string{directory}) + "/" + name;
        if (can_be_run(file)) return file;
        if (directory.size() == path.size()) return std::nullopt;
        path.remove_prefix(directory.size() + 1);
    }
}

std::string why_not_preloaded(const std::string& file) {
    const std::string bytes = beginning_of(file);
    if (bytes.rfind("#!", 0) == 0) {
        const std::string interpreter = interpreter_of(bytes);
        // The kernel takes a script for an interpreter, too, but nobody writes one; and a file may name itself.
        if (interpreter.empty() || beginning_of(interpreter).rfind("#!", 0) == 0) return {};
        const std::string obstacle = why_not_preloaded(interpreter);
        return obstacle.empty() ? obstacle : "is a script for " + interpreter + ", which " + obstacle;
    }
    if (changes_privileges(file)) return "changes privileges (setuid, setgid or file capabilities)";
    return bytes.rfind(ELFMAG, 0) == 0 ? why_not_preloaded_elf(bytes) : std::string{};
}

}  // namespace faultline::tool
