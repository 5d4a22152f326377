// mkswap(8), swapon(2), swapoff(2).
#include "vs_kernel/swap_device.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "support/system_call.hpp"
#include "sys/file_descriptor.hpp"

namespace bench {
namespace {

// The kernel swaps to the area with the highest priority first, so the machine's own areas are not used.
constexpr int kSwapFlags = SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK;

void require(int error, const char* what) {
    if (error != 0) throw std::system_error{error, std::generic_category(), what};
}

// Attributes for posix_spawn: no output, and no blocked signals.
class QuietSpawn {
public:
    QuietSpawn() {
        sigset_t none;
        sigemptyset(&none);
        require(posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
        require(posix_spawnattr_setsigmask(&attributes_, &none), "posix_spawnattr_setsigmask");
        require(posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK), "posix_spawnattr_setflags");
        require(posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init");
        for (const int output : {STDOUT_FILENO, STDERR_FILENO}) {
            require(posix_spawn_file_actions_addopen(&actions_, output, "/dev/null", O_WRONLY, 0),
                    "posix_spawn_file_actions_addopen");
        }
    }
    QuietSpawn(const QuietSpawn&) = delete;
    QuietSpawn& operator=(const QuietSpawn&) = delete;
    ~QuietSpawn() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }

    // Returns 0 or an error number. `program` is searched for in PATH unless it has a slash.
    int operator()(const char* program, const std::string& argument, pid_t& pid) {
        std::string name{program};
        std::string value{argument};
        char* const arguments[] = {name.data(), value.data(), nullptr};
        return ::posix_spawnp(&pid, program, &actions_, &attributes_, arguments, environ);
    }

private:
    posix_spawnattr_t attributes_{};
    posix_spawn_file_actions_t actions_{};
};

pid_t spawn_mkswap(const std::string& path) {
    QuietSpawn spawn;
    pid_t pid = -1;
    int error = ENOENT;
    // PATH of root does not always contain sbin.
    for (const char* const program : {"mkswap", "/usr/sbin/mkswap", "/sbin/mkswap"}) {
        error = spawn(program, path, pid);
        if (error == 0) return pid;
    }
    throw std::system_error{error, std::generic_category(), "cannot run mkswap"};
}

void make_swap(const std::string& path) {
    const pid_t pid = spawn_mkswap(path);
    int status = 0;
    while (::waitpid(pid, &status, 0) == -1) {
        if (errno != EINTR) throw_errno("waitpid of mkswap");
    }
    if (status != 0) throw std::runtime_error{"mkswap refuses " + path};
}

void write_zeros(const faultline::sys::FileDescriptor& file, std::size_t bytes, const std::string& path) {
    const std::vector<char> zeros(std::size_t{1} << 20);
    for (std::size_t offset = 0; offset < bytes;) {
        const std::size_t wanted = std::min(zeros.size(), bytes - offset);
        offset += static_cast<std::size_t>(
            check(::pwrite(file.get(), zeros.data(), wanted, static_cast<off_t>(offset)), "write to " + path));
    }
}

// Allocates every block, and leaves nothing in the page cache.
void create_file(const std::string& path, std::size_t bytes) {
    const faultline::sys::FileDescriptor file{
        check(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), path)};
    if (::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) == -1) {
        if (errno != EOPNOTSUPP) throw_errno("fallocate of " + std::to_string(bytes) + " bytes at " + path);
        write_zeros(file, bytes, path);
    }
    check(::fsync(file.get()), "fsync of " + path);
    require(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise of a swap file");
}

std::string swap_file_path(const std::filesystem::path& directory) {
    const std::filesystem::path absolute = std::filesystem::absolute(directory);
    return absolute / ("faultline-vs_kernel-" + std::to_string(::getpid()) + ".swap");
}

}  // namespace

SwapFile::SwapFile(Journal& journal, const std::filesystem::path& directory, std::size_t bytes)
    : path_{swap_file_path(directory)}, entry_{journal, {"swap-file", path_}} {
    try {
        create_file(path_, bytes);
        switch_swap_on(path_);
    } catch (...) {
        remove_swap_file(path_);
        throw;
    }
}

SwapFile::~SwapFile() {
    if (!remove_swap_file(path_)) entry_.keep();
}

void switch_swap_on(const std::string& path) {
    make_swap(path);
    check(::swapon(path.c_str(), kSwapFlags), "swapon of " + path);
}

bool switch_swap_off(const std::string& path) noexcept {
    // EINVAL: it is not an active swap area.
    if (::swapoff(path.c_str()) == 0 || errno == EINVAL || errno == ENOENT || errno == ENXIO) return true;
    std::perror(("swapoff of " + path).c_str());
    return false;
}

bool remove_swap_file(const std::string& path) noexcept {
    if (!switch_swap_off(path)) return false;
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return true;
    std::perror(("unlink of " + path).c_str());
    return false;
}

}  // namespace bench
