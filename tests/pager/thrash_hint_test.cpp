// A pager whose program waits for pages for much of a minute says so, and names a limit that would help.
#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::test {
namespace {

/// Over a minute long: a nightly case.
TEST(ThrashHint, IsSaidOnceInTheFirstMinutesAndNotBefore) {
    constexpr std::uint64_t kSeed = 5;
    RecordProperty("seed", std::to_string(kSeed));
    std::mutex mutex;
    std::vector<std::string> hints;
    Config config;
    config.resident_limit = std::size_t{4} << 20;
    config.log = [&](LogLevel, std::string_view message) {
        const std::lock_guard lock{mutex};
        if (message.find("is too small for this program") != std::string_view::npos) hints.emplace_back(message);
    };
    Pager pager{config};
    const Region region = pager.reserve(std::size_t{16} << 20);
    const std::span<std::byte> bytes = region.bytes();
    std::mt19937_64 random{kSeed};
    const auto began = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - began < std::chrono::seconds{130}) {
        for (int i = 0; i < 1000; ++i) bytes[random() % bytes.size()] ^= std::byte{1};
        const std::lock_guard lock{mutex};
        if (!hints.empty() && std::chrono::steady_clock::now() - began > std::chrono::seconds{70}) break;
    }
    ASSERT_EQ(hints.size(), 1U);
    EXPECT_THAT(hints[0], testing::HasSubstr("the limit of 4.0 MiB"));
}

}  // namespace
}  // namespace faultline::test
