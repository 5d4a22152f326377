// The launcher of static programs: a dynamically linked program into which the loader loads the preloaded library. It
// calls the library, which runs the static program (static_program.hpp) and does not return.

#include <dlfcn.h>
#include <unistd.h>

#include <string_view>

int main(int, char** arguments, char** environment) {
    using Run = void(char**, char**);
    if (auto* const run = reinterpret_cast<Run*>(::dlsym(RTLD_DEFAULT, "faultline_run_static_program"))) {
        run(arguments, environment);
    }
    constexpr std::string_view kWhy =
        "faultline-start: no static program is named or libfaultline-preload.so is not loaded; use `faultline run`\n";
    static_cast<void>(!::write(2, kWhy.data(), kWhy.size()));
    return 125;
}
