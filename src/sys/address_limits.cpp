#include "sys/address_limits.hpp"

#include "sys/error.hpp"

#include <sys/resource.h>

#include <fstream>

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
    int overcommit = 0;
    if (std::ifstream{"/proc/sys/vm/overcommit_memory"} >> overcommit && overcommit == 2) {
        add(text, "vm.overcommit_memory is 2: as root, `sysctl vm.overcommit_memory=0`");
    }
    return text.empty() ? "check `ulimit -v`, `ulimit -d` and `sysctl vm.overcommit_memory`" : text;
}

}  // namespace faultline::sys
