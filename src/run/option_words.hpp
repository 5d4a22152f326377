// What the command and the preload say of a failed set-up, whose messages come from the library and name members of
// Config: a user of the command knows options and variables.
#pragma once

#include <string>
#include <string_view>

namespace faultline::run {

/// The exit code of a program whose set-up has failed, which is the command's own for its failures.
inline constexpr int kExitCannotSetUp = 125;

/// `message` with options for members of Config, and without the name "faultline: ", which the speaker puts in front.
[[nodiscard]] std::string in_words_of_options(std::string_view message);

}  // namespace faultline::run
