#include "tool/stacks/code_place.hpp"

#include "display/format.hpp"

#include <array>
#include <string_view>

namespace faultline::tool {
namespace {

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string CodePlace::name() const {
    if (of_faultline() && !of_interposed()) return "[inside faultline]";
    if (!function.empty()) {
        return offset == 0 ? function : function + display::printed("+0x%llx", static_cast<unsigned long long>(offset));
    }
    if (object.empty()) return "[unknown code]";
    return object_name() + display::printed("+0x%llx", static_cast<unsigned long long>(offset));
}

std::string CodePlace::line_text() const {
    return line == 0 ? std::string{} : base_name(file) + ":" + std::to_string(line);
}

std::string CodePlace::object_name() const { return base_name(object); }

bool CodePlace::of_system() const {
    if (of_faultline()) return true;
    if (file.starts_with("/usr/include/") || file.starts_with("/usr/lib/gcc/")) return true;
    constexpr std::array<std::string_view, 6> kLibraries{"libc.so",    "libc-2",  "ld-linux",
                                                         "libpthread", "libm.so", "libstdc++.so"};
    const std::string object_file = object_name();
    for (const std::string_view library : kLibraries) {
        if (object_file.starts_with(library)) return true;
    }
    return false;
}

bool CodePlace::of_faultline() const { return object_name().starts_with("libfaultline"); }

bool CodePlace::of_interposed() const {
    return of_faultline() && !function.empty() && function.find("faultline") == std::string::npos;
}

}  // namespace faultline::tool
