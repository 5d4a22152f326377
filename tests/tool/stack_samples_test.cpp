// A pager with Config::stack_samples_file writes its faults' stacks, in itself and in children of fork.
#include "tool/stacks/code_place.hpp"
#include "tool/stacks/samples_file.hpp"
#include "tool/stacks/unwinder.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace faultline::tool {
namespace {

constexpr std::size_t kPages = 256;

[[gnu::noinline]] void touch_all(std::byte* bytes) {
    for (std::size_t page = 0; page < kPages; ++page) {
        *reinterpret_cast<volatile unsigned char*>(bytes + page * kBasePageBytes) = 1;
    }
}

class StackSamples : public testing::TestWithParam<Delivery> {
protected:
    StackSamples() : path_{testing::TempDir() + "faultline-stacks-" + std::to_string(::getpid())} {
        std::filesystem::remove(path_);
    }
    ~StackSamples() override { std::filesystem::remove(path_); }
    StackSamples(const StackSamples&) = delete;
    StackSamples& operator=(const StackSamples&) = delete;

    [[nodiscard]] Config config() const {
        Config config;
        config.resident_limit = 2 * kPages * kBasePageBytes;
        config.delivery = GetParam();
        config.stack_samples_file = path_;
        config.stack_samples_rate = 1'000'000;
        return config;
    }

    std::string path_;
};

TEST_P(StackSamples, TellWhereThePagerFaulted) {
    const std::byte* begin = nullptr;
    {
        Pager pager{config()};
        Region region = pager.reserve(kPages * kBasePageBytes);
        begin = region.data();
        touch_all(region.data());
    }
    const std::vector<RecordedSession> sessions = read_samples_file(path_);
    ASSERT_EQ(sessions.size(), 1U);
    const RecordedSession& session = sessions.front();
    EXPECT_EQ(session.touched_units, kPages);
    EXPECT_EQ(session.resident_limit, 2 * kPages * kBasePageBytes);
    EXPECT_EQ(session.samples.size(), session.taken);
    ASSERT_FALSE(session.samples.empty());
    CodePlaces places;
    Unwinder unwinder{session, places};
    for (const RecordedSample& sample : session.samples) {
        EXPECT_EQ(sample.kind, trace::SampledKind::first_touch);
        EXPECT_TRUE(sample.write);
        EXPECT_EQ(sample.thread, static_cast<std::uint32_t>(::gettid()));
        const auto address = reinterpret_cast<const std::byte*>(sample.address);
        EXPECT_GE(address, begin);
        EXPECT_LT(address, begin + kPages * kBasePageBytes);
        EXPECT_LT(sample.address_before, sample.address);
        EXPECT_THAT(places[unwinder.unwind(sample).front()].object, testing::HasSubstr("tool_tests"));
    }
}

TEST_P(StackSamples, TellTheFaultsOfAChildApart) {
    {
        Config inherited = config();
        inherited.fork = ForkPolicy::inherit;
        std::optional<Pager> pager{inherited};
        std::optional<Region> first{pager->reserve(kPages * kBasePageBytes)};
        std::optional<Region> second{pager->reserve(kPages * kBasePageBytes)};
        touch_all(first->data());
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            touch_all(second->data());
            first.reset();
            second.reset();
            pager.reset();
            ::_exit(0);
        }
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0);
    }
    const std::vector<RecordedSession> sessions = read_samples_file(path_);
    ASSERT_EQ(sessions.size(), 2U);
    EXPECT_EQ(sessions[0].pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(sessions[1].parent, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(sessions[0].touched_units, kPages);
    EXPECT_EQ(sessions[1].touched_units, 2 * kPages) << "what the parent has touched counts";
    EXPECT_FALSE(sessions[1].samples.empty());
}

INSTANTIATE_TEST_SUITE_P(Deliveries, StackSamples, testing::Values(Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& variant) { return std::string{to_string(variant.param)}; });

TEST(StackSamplesOfPager, AreRefusedWhereNoThreadResolvesItsOwnFaults) {
    Config config;
    config.stack_samples_file = testing::TempDir() + "faultline-no-stacks";
    config.delivery = Delivery::uffd_threads;
    try {
        const Pager pager{config};
        FAIL() << "a pager without stacks";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EINVAL);
        EXPECT_THAT(error.what(), testing::HasSubstr("stack_samples_file"));
    }
    EXPECT_FALSE(std::filesystem::exists(config.stack_samples_file));
    config.delivery = Delivery::automatic;
    {
        const Pager pager{config};
        EXPECT_NE(pager.delivery(), Delivery::uffd_threads);
    }
    std::filesystem::remove(config.stack_samples_file);
    config.delivery = Delivery::sigsegv;
    config.stack_sample_bytes = 17 << 10;
    EXPECT_THROW(Pager{config}, std::system_error);
    config.stack_sample_bytes = 0;
    config.stack_samples_rate = 0;
    EXPECT_THROW(Pager{config}, std::system_error);
}

}  // namespace
}  // namespace faultline::tool
