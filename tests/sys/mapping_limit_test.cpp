#include "sys/mapping_limit.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace faultline::sys {
namespace {

std::string message_of(int error, const std::string& reason) {
    try {
        throw_mapping_error(error, "cannot guard a stack", reason);
    } catch (const std::system_error& thrown) {
        EXPECT_EQ(thrown.code().value(), error);
        return thrown.what();
    }
}

TEST(MappingLimit, TooManyMappingsNamesTheLimit) {
    EXPECT_NE(message_of(ENOMEM, "").find("cannot guard a stack; raise `sysctl vm.max_map_count`"), std::string::npos);
    EXPECT_NE(message_of(ENOMEM, "it takes two").find("max_map_count`: it takes two"), std::string::npos);
}

TEST(MappingLimit, OtherErrorsDoNotNameTheLimit) {
    EXPECT_EQ(message_of(EACCES, "it takes two").find("max_map_count"), std::string::npos);
}

}  // namespace
}  // namespace faultline::sys
