// Scripts by which a shell completes the command line of `faultline`. They are made from the parser's own table of
// commands and options, so they know all of them.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace faultline::tool {

/// Returns a script for bash(1), to be sourced.
[[nodiscard]] std::string bash_completion(const CLI::App& app);

/// Returns a script for zsh(1), to be put into a folder of $fpath as _faultline.
[[nodiscard]] std::string zsh_completion(const CLI::App& app);

}  // namespace faultline::tool
