// FixedText: numbers, addresses, and text that does not fit. read_file_start.
#include "sys/fixed_text.hpp"
#include "sys/file_read.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>

namespace faultline::test {
namespace {

TEST(FixedText, JoinsTextNumbersAndAddresses) {
    sys::FixedText<64> text;
    (text << "page ").decimal(0) << " of ";
    text.decimal(std::numeric_limits<std::uint64_t>::max()) << " at ";
    text.address(0x7f00'0000'1000) << "\n";
    EXPECT_EQ(text.view(), "page 0 of 18446744073709551615 at 0x7f0000001000\n");
    EXPECT_STREQ(text.c_str(), std::string{text.view()}.c_str());
}

TEST(FixedText, CutsOffWhatDoesNotFitAndStaysTerminated) {
    sys::FixedText<8> text;
    (text << "12345").decimal(6789) << "more";
    EXPECT_EQ(text.view(), "12345678");
    EXPECT_STREQ(text.c_str(), "12345678");
}

TEST(FixedText, IsEmptyAtFirst) { EXPECT_STREQ(sys::FixedText<4>{}.c_str(), ""); }

TEST(ReadFileStart, FillsTheBufferAndNoMore) {
    std::array<char, 6> small{};
    EXPECT_EQ(sys::read_file_start("/proc/self/status", small), "Name:\t");
    std::array<char, 4096> large{};
    const auto all = sys::read_file_start("/proc/self/stat", large);
    EXPECT_TRUE(all.ends_with('\n') && all.size() < large.size());
}

TEST(ReadFileStart, ReturnsNothingWithoutSuchAFile) {
    std::array<char, 6> buffer{};
    EXPECT_TRUE(sys::read_file_start("/proc/self/no such file", buffer).empty());
}

}  // namespace
}  // namespace faultline::test
