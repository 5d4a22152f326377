// Words of messages about a failed set-up. The library's messages name members of Config; users of the command know
// options and variables. Used by the command and by the preload.
#pragma once

#include <string>
#include <string_view>

namespace faultline::run {

/// The exit code of a program whose set-up has failed; the command uses it for its own failures, too.
inline constexpr int kExitCannotSetUp = 125;

/// Returns `message` with option names in place of members of Config, and without the leading "faultline: ", which the
/// caller prints itself.
[[nodiscard]] std::string in_words_of_options(std::string_view message);

}  // namespace faultline::run
