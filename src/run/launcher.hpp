// The launcher: the program that is started in place of a static program, so that the library is preloaded. The command
// and the library start it.
#pragma once

#include <array>
#include <string_view>

namespace faultline::run {

/// The name of the launcher's file.
inline constexpr std::string_view kLauncherName = "faultline-start";

/// Where it lies, seen from the folder of the library: beside it, or where it is installed.
inline constexpr std::array<std::string_view, 2> kLauncherFolders{"", "faultline/"};

/// The variable by which the launcher is told the static program's path. The program does not get it.
inline constexpr std::string_view kProgramVariable = "FAULTLINE_PROGRAM";

}  // namespace faultline::run
