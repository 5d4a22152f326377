// Limits above the machine's memory are lowered to it, with a warning, wherever a program gives one.

#include "sys/mapping.hpp"

#include <faultline/faultline.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::test {
namespace {

using namespace faultline::literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Limits : public ::testing::Test {
protected:
    [[nodiscard]] Config config() {
        Config config;
        config.resident_limit = 4_MiB;
        config.log = [this](LogLevel level, std::string_view message) {
            if (level == LogLevel::warning) warnings_.emplace_back(message);
        };
        return config;
    }
    const std::size_t memory_ = sys::physical_memory();
    std::vector<std::string> warnings_;
};

TEST_F(Limits, OfAConfigAreLowered) {
    Config wanted = config();
    wanted.resident_limit = 4 * memory_;
    const Pager pager{wanted};
    EXPECT_EQ(pager.resident_limit(), memory_);
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("Config::resident_limit"), HasSubstr("of this machine"))));
}

TEST_F(Limits, OfCompressedMemoryAreLowered) {
    Config wanted = config();
    wanted.compressed_limit = memory_ + 1_MiB;
    const Pager pager{wanted};
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("Config::compressed_limit"), HasSubstr("of this machine"))));
}

TEST_F(Limits, ThatAreSetLaterAreLowered) {
    Pager pager{config()};
    pager.set_resident_limit(memory_);
    EXPECT_THAT(warnings_, IsEmpty());
    pager.set_resident_limit(memory_ + 4_KiB);
    EXPECT_EQ(pager.resident_limit(), memory_);
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("of this machine")));
}

}  // namespace
}  // namespace faultline::test
