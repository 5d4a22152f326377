// What can be told of a program before it runs: where it is, and whether the library that is preloaded can enter it. It
// promises nothing: the kernel and the dynamic loader decide.
#pragma once

#include <optional>
#include <string>

namespace faultline::tool {

/// The file that execvp(3) would run for `name`, `name` itself where it has a slash; none when $PATH has none.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

/// Why the preloaded library cannot be in the program in this file, in a few words ("is statically linked"); empty when
/// nothing is known against it. For a script, its interpreter is looked at.
[[nodiscard]] std::string why_not_preloaded(const std::string& file);

}  // namespace faultline::tool
