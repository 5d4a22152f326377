#include "sys/address_limits.hpp"

#include "sys/error.hpp"
#include "sys/file_read.hpp"

#include <sys/resource.h>

#include <array>

namespace faultline::sys {
namespace {

void add(std::string& text, const std::string& part) { text += (text.empty() ? "" : "; ") + part; }

void add_limit(std::string& text, __rlimit_resource resource, const char* name, const char* option) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    add(text, std::string{name} + " is " + readable_bytes(limit.rlim_cur) + ": set `ulimit " + option + " unlimited`");
}

}  // namespace

std::string explain_address_limits() {
    std::string text;
    add_limit(text, RLIMIT_AS, "RLIMIT_AS", "-v");
    add_limit(text, RLIMIT_DATA, "RLIMIT_DATA", "-d");  // private memory that may be written counts, touched or not
    if (commits_strictly()) {
        add(text, "vm.overcommit_memory is 2: as root, `sysctl vm.overcommit_memory=0`");
    }
    return text.empty() ? "check `ulimit -v`, `ulimit -d` and `sysctl vm.overcommit_memory`" : text;
}

bool commits_strictly() noexcept {
    std::array<char, 8> text{};
    return read_file_start("/proc/sys/vm/overcommit_memory", text).starts_with('2');
}

}  // namespace faultline::sys
