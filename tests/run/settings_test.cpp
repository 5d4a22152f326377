// Settings written to an environment read back unchanged, and a message names the variable that is invalid.
#include "run/settings.hpp"
#include "run/size_text.hpp"

#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

namespace faultline::run {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// An array of variables in the form of `environ`.
class Environment {
public:
    explicit Environment(std::vector<std::string> variables) : variables_{std::move(variables)} {
        for (const std::string& variable : variables_) pointers_.push_back(variable.c_str());
        pointers_.push_back(nullptr);
    }
    [[nodiscard]] const char* const* get() const { return pointers_.data(); }

private:
    std::vector<std::string> variables_;
    std::vector<const char*> pointers_;
};

std::string problem_with(const std::string& variable) {
    const Environment environment{{variable}};
    Settings settings;
    SettingsProblem problem;
    EXPECT_FALSE(read_settings(environment.get(), settings, problem)) << variable;
    return problem.text.data();
}

TEST(SizeText, SuffixesArePowersOf1024) {
    EXPECT_EQ(parse_size("64M").bytes, 64 * kMiB);
    EXPECT_EQ(parse_size("1GiB").bytes, 1024 * kMiB);
    EXPECT_EQ(parse_size("4k").bytes, 4096U);
    EXPECT_EQ(parse_size("1000").bytes, 1000U);
    EXPECT_EQ(parse_size("7B").bytes, 7U);
    EXPECT_EQ(parse_size("0").bytes, 0U);
    for (const char* const text : {"64M", "1G", "0", "1000"}) EXPECT_EQ(parse_size(text).problem, nullptr) << text;
}

TEST(SizeText, DecimalSuffixesArePowersOf1024) {
    EXPECT_EQ(parse_size("64MB").bytes, 64 * kMiB);
    EXPECT_EQ(parse_size("4kb").bytes, 4096U);
    EXPECT_EQ(parse_size("1TB").bytes, kMiB * kMiB);
}

TEST(SizeText, ParserAcceptsFractionsOfAUnit) {
    EXPECT_EQ(parse_size("1.5G").bytes, 1536 * kMiB);
    EXPECT_EQ(parse_size("0.25MiB").bytes, kMiB / 4);
    EXPECT_EQ(parse_size("1.0000000001K").bytes, 1024U) << "rounds down to bytes";
    EXPECT_GT(parse_size("16777215.9T").bytes, parse_size("16777215T").bytes) << "the largest whole number of units";
    for (const char* const text : {"1.5G", "0.5K"}) EXPECT_EQ(parse_size(text).problem, nullptr) << text;
}

TEST(SizeText, ParserRefusesTextThatIsNotASize) {
    for (const char* const text : {"", "M", "-1", " 1", "1 M", "1KBs", "1MiBs", "1iB", "1P", "1.5", "1.5B", "1.G",
                                   ".5G", "1.2.3G", "1,5G", "99999999999999999999", "99999999T", "99999999.5T"}) {
        EXPECT_NE(parse_size(text).problem, nullptr) << text;
    }
}

TEST(SizeText, RefusalSaysWhatASizeIs) {
    for (const char* const text : {"-1", "all", "1,5G", "1.5"}) {
        EXPECT_THAT(parse_size(text).problem, HasSubstr("followed by K, M, G or T")) << text;
    }
    for (const char* const text : {"99999999999999999999", "99999999T"}) {
        EXPECT_THAT(parse_size(text).problem, HasSubstr("at most 16777215T")) << text;
    }
}

TEST(SizeText, WrittenSizeReadsBackUnchanged) {
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{1536}, 3 * kMiB, ~std::size_t{0}}) {
        EXPECT_EQ(parse_size(size_text(bytes)).bytes, bytes) << size_text(bytes);
    }
}

TEST(Settings, SettingsReadBackUnchangedFromAnEnvironment) {
    Settings settings;
    settings.resident_limit = 24 * kMiB;
    settings.compressed_limit = 3000;
    settings.heap_reservation = 512 * kMiB;
    settings.swap_directory = "/a path/with=signs";
    settings.delivery = Delivery::sigsegv;
    settings.status_file = "/proc/1/fd/7";
    settings.record_file = "/tmp/of stacks";
    settings.record_rate = 77;
    settings.record_stack = 4096;
    const Environment environment{environment_for(settings)};
    Settings read;
    SettingsProblem problem;
    ASSERT_TRUE(read_settings(environment.get(), read, problem)) << problem.text.data();
    EXPECT_EQ(read.resident_limit, settings.resident_limit);
    EXPECT_EQ(read.compressed_limit, settings.compressed_limit);
    EXPECT_EQ(read.heap_reservation, settings.heap_reservation);
    EXPECT_EQ(read.swap_directory, settings.swap_directory);
    EXPECT_EQ(read.delivery, settings.delivery);
    EXPECT_EQ(read.status_file, settings.status_file);
    EXPECT_EQ(read.record_file, settings.record_file);
    EXPECT_EQ(read.record_rate, settings.record_rate);
    EXPECT_EQ(read.record_stack, settings.record_stack);
}

TEST(Settings, ALimitOfAllMemoryReplacesTheOthers) {
    Settings settings;
    settings.memory_limit = 96 * kMiB;
    settings.compressed_limit = 3000;
    const std::vector<std::string> variables = environment_for(settings);
    EXPECT_THAT(variables, ElementsAre("FAULTLINE_MEMORY=96M"));
    const Environment environment{variables};
    Settings read;
    SettingsProblem problem;
    ASSERT_TRUE(read_settings(environment.get(), read, problem)) << problem.text.data();
    EXPECT_EQ(read.memory(), 96 * kMiB);
}

TEST(Settings, LimitsThatIncludeEachOtherAreRefused) {
    for (const auto& [first, second] : {std::pair{"FAULTLINE_MEMORY=64M", "FAULTLINE_RESIDENT=64M"},
                                        std::pair{"FAULTLINE_MEMORY=64M", "FAULTLINE_COMPRESSED=64M"},
                                        std::pair{"FAULTLINE_MEMORY_PER_PROCESS=64M", "FAULTLINE_RESIDENT=64M"},
                                        std::pair{"FAULTLINE_MEMORY=64M", "FAULTLINE_MEMORY_PER_PROCESS=64M"}}) {
        const Environment environment{{first, second}};
        Settings settings;
        SettingsProblem problem;
        EXPECT_FALSE(read_settings(environment.get(), settings, problem)) << first << " and " << second;
        EXPECT_THAT(problem.text.data(), HasSubstr("exclude each other"));
    }
}

TEST(Settings, EmptyEnvironmentGivesTheDefaults) {
    const Environment environment{{"FAULTLINE_RESIDENT=", "FAULTLINE_DELIVERY=", "FAULTLINE_RESIDENTS=1", "HOME=/"}};
    for (const char* const* const variables : {environment.get(), static_cast<const char* const*>(nullptr)}) {
        Settings settings;
        SettingsProblem problem;
        ASSERT_TRUE(read_settings(variables, settings, problem)) << problem.text.data();
        EXPECT_THAT(environment_for(settings), ElementsAre("FAULTLINE_RESIDENT=256M"));
    }
}

TEST(Settings, MessageNamesTheInvalidVariable) {
    EXPECT_EQ(
        problem_with("FAULTLINE_RESIDENT=12Q"),
        "FAULTLINE_RESIDENT: '12Q' is not a size: write bytes, or a number such as 64 or 1.5 followed by K, M, G or T "
        "(powers of 1024; MB and MiB mean M)");
    EXPECT_EQ(problem_with("FAULTLINE_RESIDENT=9999999T"), "FAULTLINE_RESIDENT: '9999999T' is outside of 64K to 8T");
    EXPECT_THAT(problem_with("FAULTLINE_COMPRESSED=9T"), HasSubstr("outside of 0 to 8T"));
    EXPECT_THAT(problem_with("FAULTLINE_RESIDENT=4K"), HasSubstr("outside of 64K to 8T"));
    EXPECT_THAT(problem_with("FAULTLINE_HEAP=9T"), HasSubstr("outside of 1M to 8T"));
    EXPECT_THAT(problem_with("FAULTLINE_RECORD_RATE=0"), HasSubstr("outside of 1 to 1000000"));
    EXPECT_THAT(problem_with("FAULTLINE_RECORD_STACK=17K"), HasSubstr("outside of 0 to 16K"));
    EXPECT_THAT(problem_with("FAULTLINE_COMPRESSED=all"), HasSubstr("'all' is not a size"));
    EXPECT_THAT(problem_with("FAULTLINE_DELIVERY=post"), HasSubstr("expected one of: automatic uffd_threads"));
    EXPECT_EQ(problem_with("FAULTLINE_RESIDENT=" + std::string(5000, 'x')).size(), SettingsProblem{}.text.size() - 1);
}

TEST(Settings, OnlyVariablesOfFaultlineAreSettings) {
    EXPECT_TRUE(is_setting("FAULTLINE_SWAP=/tmp"));
    EXPECT_TRUE(is_setting("FAULTLINE_STATUS"));
    EXPECT_FALSE(is_setting("FAULTLINE_SWAPS=/tmp"));
    EXPECT_FALSE(is_setting("HOME=/root"));
}

TEST(Settings, MappingsAreManagedUnderALimitOfAllMemoryUnlessTheyAreSwitchedOff) {
    const auto manages = [](std::vector<const char*> variables) {
        variables.push_back(nullptr);
        Settings settings;
        SettingsProblem problem;
        EXPECT_TRUE(read_settings(variables.data(), settings, problem)) << problem.text.data();
        return settings.manages_mappings();
    };
    EXPECT_FALSE(manages({}));
    EXPECT_FALSE(manages({"FAULTLINE_RESIDENT=64M"}));
    EXPECT_TRUE(manages({"FAULTLINE_RESIDENT=64M", "FAULTLINE_MAPPINGS=on"}));
    EXPECT_TRUE(manages({"FAULTLINE_MEMORY=64M"}));
    EXPECT_TRUE(manages({"FAULTLINE_MEMORY_PER_PROCESS=64M"}));
    EXPECT_FALSE(manages({"FAULTLINE_MEMORY=64M", "FAULTLINE_MAPPINGS=off"}));
}

}  // namespace
}  // namespace faultline::run
