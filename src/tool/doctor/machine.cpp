#include "display/format.hpp"
#include "run/size_text.hpp"
#include "sys/mapping.hpp"
#include "tool/doctor/doctor.hpp"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string_view>

namespace faultline::tool {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

void look_at_kernel(Findings& findings) {
    utsname names{};
    if (::uname(&names) != 0) return;
    cpu_set_t cpus;
    const int count = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    findings.push_back({"machine",
                        Verdict::good,
                        display::printed("%s %s, %s, %d CPUs, %s of memory", names.sysname, names.release,
                                         names.machine, count, display::format_bytes(sys::physical_memory()).c_str()),
                        {}});
}

/// Returns the process's path in the hierarchy of `controller` (empty: the unified one). /proc/self/cgroup has lines of
/// the form "NUMBER:CONTROLLERS:PATH".
std::string cgroup_path(std::string_view controller) {
    std::ifstream groups{"/proc/self/cgroup"};
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        if (std::string_view{line}.substr(first + 1, second - first - 1) == controller) return line.substr(second + 1);
    }
    return {};
}

/// Returns the least limit in the `file`s of a group and of the groups above it.
std::uint64_t least_limit(const std::string& root, std::string path, const std::string& file) {
    std::uint64_t least = kNoLimit;
    for (;;) {
        std::string name = root;
        name.append(path).append("/").append(file);
        const std::string word = first_word_of(name);
        std::uint64_t limit = 0;
        if (std::from_chars(word.data(), word.data() + word.size(), limit).ec == std::errc{} && !word.empty()) {
            least = std::min(least, limit);
        }
        if (path.empty()) return least;
        path.erase(std::min(path.rfind('/'), path.size()));
    }
}

void look_at_cgroup(Findings& findings, std::size_t resident_limit) {
    const std::uint64_t unified = least_limit("/sys/fs/cgroup", cgroup_path(""), "memory.max");
    const std::uint64_t old = least_limit("/sys/fs/cgroup/memory", cgroup_path("memory"), "memory.limit_in_bytes");
    const std::uint64_t limit = std::min(unified, old);
    if (limit >= sys::physical_memory()) {
        findings.push_back({"memory cgroup", Verdict::good, "allows all of the machine's memory", {}});
        return;
    }
    const std::string what = "allows " + display::format_bytes(limit);
    if (limit > resident_limit) {
        findings.push_back({"memory cgroup", Verdict::good, what, {}});
        return;
    }
    findings.push_back({"memory cgroup", Verdict::bad,
                        what + ": less than the " + run::size_text(resident_limit) + " of one program's heap",
                        "run programs with a smaller --resident, or raise memory.max of the group"});
}

}  // namespace

void look_at_machine(Findings& findings, std::size_t resident_limit) {
    look_at_kernel(findings);
    if (resident_limit > sys::physical_memory()) {
        findings.push_back({"memory", Verdict::bad, "FAULTLINE_RESIDENT is more than the memory of this machine",
                            "run programs with a smaller --resident"});
    }
    look_at_cgroup(findings, resident_limit);
}

}  // namespace faultline::tool
