#include "run/program_file.hpp"

#include "sys/syscall.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

namespace faultline::run {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr int kMostScripts = 4;  // the most interpreters of interpreters that the kernel follows

/// A file opened for reading while in scope.
class OpenFile {
public:
    explicit OpenFile(const char* path) noexcept {
        // Neither a terminal nor a FIFO at that path must have any effect.
        constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
        do {
            fd_ = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path), kFlags, 0);
        } while (fd_ == -EINTR);
    }
    ~OpenFile() {
        if (fd_ >= 0) raw_syscall(SYS_close, fd_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    /// Returns the number of bytes read: fewer at the end of the file, 0 if the file cannot be read.
    std::size_t read(void* into, std::size_t bytes, std::uint64_t offset) const noexcept {
        if (fd_ < 0) return 0;
        long got;
        do {
            got = raw_syscall(SYS_pread64, fd_, syscall_argument(into), bytes, offset);
        } while (got == -EINTR);
        return got > 0 ? static_cast<std::size_t>(got) : 0;
    }

    template <typename T>
    [[nodiscard]] std::optional<T> read(std::uint64_t offset) const noexcept {
        T value{};
        if (read(&value, sizeof value, offset) != sizeof value) return std::nullopt;
        return value;
    }

private:
    long fd_ = -1;
};

using Line = std::array<char, 256>;  // as much of a script as the kernel reads

/// Finds the interpreter that a line such as "#!/usr/bin/env python3" names. Returns false if the file is no script.
bool read_interpreter(const OpenFile& file, Line& interpreter) noexcept {
    Line line{};
    const std::string_view text{line.data(), file.read(line.data(), line.size(), 0)};
    if (text.substr(0, 2) != "#!") return false;
    const std::size_t begin = std::min(text.find_first_not_of(" \t", 2), text.size());
    const std::string_view name = text.substr(begin, text.find_first_of(" \t\n", begin) - begin);
    interpreter = {};
    if (name.size() < interpreter.size()) std::copy(name.begin(), name.end(), interpreter.begin());
    return true;
}

bool has_capabilities(const char* path) noexcept {
    constexpr const char* kAttribute = "security.capability";
    return raw_syscall(SYS_geteuid) != 0 &&
           raw_syscall(SYS_getxattr, syscall_argument(path), syscall_argument(kAttribute), 0, 0) > 0;
}

bool changes_privileges(const char* path, LookForCapabilities capabilities) noexcept {
    struct stat status {};
    if (raw_syscall(SYS_newfstatat, AT_FDCWD, syscall_argument(path), syscall_argument(&status), 0) != 0) return false;
    const bool other_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != raw_syscall(SYS_geteuid);
    const bool other_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != raw_syscall(SYS_getegid);
    return other_user || other_group || (capabilities == LookForCapabilities::yes && has_capabilities(path));
}

bool is_musl_loader(const OpenFile& file, const Elf64_Phdr& segment) noexcept {
    std::array<char, 128> loader{};
    const std::size_t bytes = std::min<std::size_t>(segment.p_filesz, loader.size());
    const std::string_view name{loader.data(), file.read(loader.data(), bytes, segment.p_offset)};
    return name.find("/ld-musl-") != std::string_view::npos;
}

Obstacle obstacle_of_elf(const OpenFile& file) noexcept {
    const std::optional<Elf64_Ehdr> header = file.read<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return Obstacle::none;
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64) return Obstacle::other_machine;
    for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
        const auto segment = file.read<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
        if (!segment) return Obstacle::none;  // the kernel will refuse it
        if (segment->p_type == PT_INTERP) return is_musl_loader(file, *segment) ? Obstacle::musl : Obstacle::none;
    }
    return Obstacle::statically_linked;
}

}  // namespace

std::string_view words_of(Obstacle obstacle) noexcept {
    switch (obstacle) {
        case Obstacle::none:
            return "has no known obstacle";
        case Obstacle::statically_linked:
            return "is statically linked";
        case Obstacle::other_machine:
            return "is not a program for x86-64";
        case Obstacle::musl:
            return "is linked with musl, whose loader cannot load a library for glibc";
        case Obstacle::changes_privileges:
            return "changes privileges (setuid, setgid or file capabilities)";
        case Obstacle::environment_cleared:
            return "was started without LD_PRELOAD in its environment";
    }
    return "has an unknown obstacle";
}

ProgramCheck check_program(const char* path, LookForCapabilities capabilities) noexcept {
    ProgramCheck check;
    for (int scripts = 0; scripts <= kMostScripts; ++scripts) {
        const char* const at = scripts == 0 ? path : check.interpreter.data();
        const OpenFile file{at};
        Line interpreter{};
        if (!read_interpreter(file, interpreter)) {
            // The kernel ignores the privileges of a script's own file, so only those of the last interpreter count.
            check.obstacle =
                changes_privileges(at, capabilities) ? Obstacle::changes_privileges : obstacle_of_elf(file);
            return check;
        }
        check.interpreter = interpreter;
    }
    return {};
}

}  // namespace faultline::run
