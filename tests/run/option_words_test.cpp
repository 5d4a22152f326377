// Messages to users of the command name options instead of members of Config.
#include "run/option_words.hpp"

#include <gtest/gtest.h>

namespace faultline::run {
namespace {

TEST(OptionWords, MessagesNameOptionsInsteadOfMembersOfConfig) {
    EXPECT_EQ(in_words_of_options("faultline: cannot make a swap file in /x; set Config::swap_directory: No such file"),
              "cannot make a swap file in /x; set --swap (FAULTLINE_SWAP): No such file");
    EXPECT_EQ(in_words_of_options("HeapConfig::reservation of 1 is too small"),
              "--heap (FAULTLINE_HEAP) of 1 is too small");
    EXPECT_EQ(in_words_of_options("see `ulimit -u`, or set Config::background_evictor to false"), "see `ulimit -u`");
    EXPECT_EQ(in_words_of_options("nothing to change"), "nothing to change");
}

}  // namespace
}  // namespace faultline::run
