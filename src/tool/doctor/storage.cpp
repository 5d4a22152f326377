#include "display/format.hpp"
#include "run/option_words.hpp"
#include "store/swap_file.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/io_ring.hpp"
#include "tool/doctor/doctor.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <array>
#include <cstdint>
#include <exception>

namespace faultline::tool {
namespace {

constexpr std::uint64_t kLittleSpace = std::uint64_t{1} << 30;

struct FileSystem {
    std::uint32_t magic;
    const char* name;
};
constexpr std::uint32_t kXfsMagic = 0x58465342;
constexpr std::uint32_t kZfsMagic = 0x2fc12fc1;
constexpr std::uint32_t kVirtiofsMagic = FUSE_SUPER_MAGIC;
constexpr std::array kFileSystems{
    FileSystem{EXT4_SUPER_MAGIC, "ext4"},   FileSystem{kXfsMagic, "xfs"},
    FileSystem{BTRFS_SUPER_MAGIC, "btrfs"}, FileSystem{kZfsMagic, "zfs"},
    FileSystem{F2FS_SUPER_MAGIC, "f2fs"},   FileSystem{TMPFS_MAGIC, "tmpfs"},
    FileSystem{RAMFS_MAGIC, "ramfs"},       FileSystem{OVERLAYFS_SUPER_MAGIC, "overlayfs"},
    FileSystem{NFS_SUPER_MAGIC, "nfs"},     FileSystem{kVirtiofsMagic, "fuse"},
    FileSystem{V9FS_MAGIC, "9p"},
};

std::string file_system_of(const std::string& directory) {
    struct statfs status {};
    if (::statfs(directory.c_str(), &status) != 0) return "unknown";
    for (const FileSystem& known : kFileSystems) {
        if (static_cast<std::uint32_t>(status.f_type) == known.magic) return known.name;
    }
    return display::printed("of type 0x%x", static_cast<unsigned>(status.f_type));
}

bool has_unnamed_files(const std::string& directory) {
    return bool{sys::FileDescriptor{::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)}};
}

void look_at_directory(Findings& findings, const std::string& directory) {
    const std::string system = file_system_of(directory);
    try {
        const store::SwapFile file = store::SwapFile::unnamed_in(directory);
        const std::uint64_t space = file.free_space();
        const bool memory = system == "tmpfs" || system == "ramfs";
        const bool little = space < kLittleSpace;
        std::string remedy;
        if (memory) remedy = "this is memory: swapping to it saves none; use a directory on a disk (run --swap DIR)";
        if (little) remedy += std::string(remedy.empty() ? "" : "; ") + "free some space, or use another directory";
        findings.push_back({"swap directory", remedy.empty() ? Verdict::good : Verdict::less,
                            directory + ": file system " + system + ", " + display::format_bytes(space) +
                                " free; O_TMPFILE: " + (has_unnamed_files(directory) ? "yes" : "no") +
                                "; O_DIRECT: " + (file.direct() ? "yes" : "no, through the page cache"),
                            remedy});
    } catch (const std::exception& error) {
        findings.push_back({"swap directory", Verdict::bad, run::in_words_of_options(error.what()),
                            "name a directory on a disk that this user may write to: run --swap DIR"});
    }
}

void look_at_io_uring(Findings& findings) {
    const std::string disabled = first_word_of("/proc/sys/kernel/io_uring_disabled");
    const std::string setting = disabled.empty() ? "" : "; kernel.io_uring_disabled is " + disabled;
    try {
        if (sys::IoRing::open(8)) {
            findings.push_back(
                {"io_uring", Verdict::good, "works: many pages are written and read ahead at once" + setting, {}});
            return;
        }
        findings.push_back(
            {"io_uring", Verdict::less, "cannot be used: pages are written one at a time" + setting,
             "as root: sysctl kernel.io_uring_disabled=0; in a container, a seccomp profile that allows it"});
    } catch (const std::exception& error) {
        findings.push_back({"io_uring", Verdict::less, run::in_words_of_options(error.what()), {}});
    }
}

}  // namespace

void look_at_storage(Findings& findings, const std::string& swap_directory) {
    look_at_directory(findings, swap_directory);
    look_at_io_uring(findings);
}

}  // namespace faultline::tool
