// Directories and files under /sys/fs/cgroup.
#include "vs_kernel/cgroup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "support/system_call.hpp"
#include "vs_kernel/system_file.hpp"

namespace bench {
namespace {

struct Hierarchy {
    std::string root;
    const char* limit_file;
};

Hierarchy memory_hierarchy() {
    const std::string mount = "/sys/fs/cgroup";
    std::error_code ignored;
    if (std::filesystem::exists(mount + "/memory/memory.limit_in_bytes", ignored)) {
        return {mount + "/memory", "memory.limit_in_bytes"};
    }
    if (!std::filesystem::exists(mount + "/cgroup.controllers", ignored)) {
        throw std::runtime_error{"no memory cgroup controller under " + mount};
    }
    if (read_system_file(mount + "/cgroup.controllers").find("memory") == std::string::npos) {
        throw std::runtime_error{"the cgroup tree at " + mount + " has no memory controller"};
    }
    return {mount, "memory.max"};
}

// Version 2 delegates a controller explicitly. The delegation is not undone: other programs may rely on it by then.
void delegate_memory(const Hierarchy& hierarchy) {
    const std::string control = hierarchy.root + "/cgroup.subtree_control";
    std::error_code ignored;
    if (!std::filesystem::exists(control, ignored)) return;
    if (read_system_file(control).find("memory") == std::string::npos) write_system_file(control, "+memory");
}

std::string group_path(const Hierarchy& hierarchy) {
    return hierarchy.root + "/faultline-vs_kernel-" + std::to_string(::getpid());
}

}  // namespace

MemoryCgroup::MemoryCgroup(Journal& journal, std::size_t limit)
    : path_{group_path(memory_hierarchy())}, entry_{journal, {"cgroup", path_}} {
    const Hierarchy hierarchy = memory_hierarchy();
    delegate_memory(hierarchy);
    check(::mkdir(path_.c_str(), 0755), "mkdir of " + path_);
    try {
        write_system_file(path_ + '/' + hierarchy.limit_file, std::to_string(limit));
    } catch (...) {
        remove_cgroup(path_);
        throw;
    }
}

MemoryCgroup::~MemoryCgroup() {
    if (!remove_cgroup(path_)) entry_.keep();
}

void MemoryCgroup::join() const { write_system_file(path_ + "/cgroup.procs", "0"); }

bool remove_cgroup(const std::string& path) noexcept {
    // A process that has been waited for may stay charged for a short time.
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    std::perror(("rmdir of " + path).c_str());
    return false;
}

}  // namespace bench
