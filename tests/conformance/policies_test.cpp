// The conformance suite for policies: it finds nothing in the built-in ones, and something in each that breaks a rule.
#include "policy/built_in_policies.hpp"

#include <faultline/conformance.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

ConformanceOptions with_seed_of_test() {
    const std::uint64_t seed = std::random_device{}();
    testing::Test::RecordProperty("seed", std::to_string(seed));
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    return {.seed = seed, .steps = 30'000, .accesses = 8'000};
}

class BuiltInPolicy : public testing::TestWithParam<Replacement> {};

TEST_P(BuiltInPolicy, KeepsTheRules) {
    EXPECT_THAT(check_policy(policy::factory_of(GetParam()), with_seed_of_test()), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, BuiltInPolicy, testing::Values(Replacement::fifo, Replacement::second_chance),
                         [](const auto& instance) { return std::string{to_string(instance.param)}; });

/// A random policy. Derived ones break one rule each.
class RandomChoice : public ReplacementPolicy {
public:
    explicit RandomChoice(const PolicySetup& setup) : place_(setup.capacity + 1) { frames_.reserve(setup.capacity); }

    void mapped(FrameId frame, const Arrival&) noexcept override { add(frame); }
    void put_back(FrameId frame) noexcept override { add(frame); }
    void removed(FrameId frame) noexcept override {
        frames_[place_[frame]] = frames_.back();
        place_[frames_.back()] = place_[frame];
        frames_.pop_back();
    }
    [[nodiscard]] Victim victim() noexcept override {
        if (frames_.empty()) return {};
        const FrameId frame = frames_[random_() % frames_.size()];
        removed(frame);
        return {frame, 0};
    }

protected:
    [[nodiscard]] const std::vector<FrameId>& frames() const { return frames_; }

private:
    void add(FrameId frame) {
        place_[frame] = static_cast<std::uint32_t>(frames_.size());
        frames_.push_back(frame);
    }

    std::vector<FrameId> frames_;
    std::vector<std::uint32_t> place_;
    std::minstd_rand random_{1};
};

/// Returns a frame twice, now and then.
class ReturnsAFrameTwice final : public RandomChoice {
public:
    using RandomChoice::RandomChoice;
    [[nodiscard]] Victim victim() noexcept override {
        if (++calls_ % 100 == 0 && last_.frame != kNoFrame) return last_;
        return last_ = RandomChoice::victim();
    }

private:
    Victim last_;
    int calls_ = 0;
};

class ForgetsRemovals final : public RandomChoice {
public:
    using RandomChoice::RandomChoice;
    void removed(FrameId) noexcept override {}
};

class HasLargeTags final : public RandomChoice {
public:
    using RandomChoice::RandomChoice;
    [[nodiscard]] Victim victim() noexcept override { return {RandomChoice::victim().frame, 77}; }
};

class InventsFrames final : public RandomChoice {
public:
    using RandomChoice::RandomChoice;
    [[nodiscard]] Victim victim() noexcept override {
        const Victim victim = RandomChoice::victim();
        return {victim.frame == kNoFrame ? kNoFrame : victim.frame + 1'000'000, 0};
    }
};

class StagesTooMuch final : public RandomChoice {
public:
    using RandomChoice::RandomChoice;
    [[nodiscard]] std::size_t staging_target(std::size_t frames) const noexcept override { return frames + 1; }
};

template <typename Policy>
PolicyFactory factory() {
    return [](const PolicySetup& setup) { return std::make_unique<Policy>(setup); };
}

TEST(CheckPolicy, FindsNothingInARandomPolicy) {
    EXPECT_THAT(check_policy(factory<RandomChoice>(), with_seed_of_test()), IsEmpty());
}

TEST(CheckPolicy, FindsAFrameThatThePolicyDoesNotHave) {
    EXPECT_THAT(check_policy(factory<ReturnsAFrameTwice>()), Contains(HasSubstr("does not have")));
    EXPECT_THAT(check_policy(factory<InventsFrames>()), Contains(HasSubstr("does not have")));
}

TEST(CheckPolicy, FindsATagThatIsTooLarge) {
    EXPECT_THAT(check_policy(factory<HasLargeTags>()), Contains(HasSubstr("the tag 77")));
}

TEST(CheckPolicy, FindsMoreStagedFramesThanThereAre) {
    EXPECT_THAT(check_policy(factory<StagesTooMuch>()), Contains(HasSubstr("staging_target")));
}

TEST(CheckPolicy, FindsAFactoryThatMakesNone) {
    const PolicyFactory none = [](const PolicySetup&) { return std::unique_ptr<ReplacementPolicy>{}; };
    EXPECT_THAT(check_policy(none), Contains(HasSubstr("no policy")));
}

// A pager with a policy that breaks a rule logs an error, and loses nothing.

class PagerWithABadPolicy : public testing::TestWithParam<Delivery> {
protected:
    /// Runs the storm of the suite. Returns the findings: messages of the pager, and wrong pages.
    static std::vector<std::string> storm(const PolicyFactory& make_policy) {
        conformance::Findings findings;
        Config config;
        config.delivery = GetParam();
        config.policy = make_policy;
        conformance::check_in_pager(config, with_seed_of_test(), findings);
        return findings.take();
    }
};

TEST_P(PagerWithABadPolicy, ReportsItOnceAndLosesNoPage) {
    for (const PolicyFactory& bad :
         {factory<ReturnsAFrameTwice>(), factory<InventsFrames>(), factory<HasLargeTags>()}) {
        const std::vector<std::string> findings = storm(bad);
        ASSERT_EQ(findings.size(), 1U) << testing::PrintToString(findings);
        EXPECT_THAT(findings[0], HasSubstr("the replacement policy chose frame"));
    }
}

TEST_P(PagerWithABadPolicy, EvictsByItselfIfThePolicyHasNoVictim) {
    class Idle final : public RandomChoice {
    public:
        using RandomChoice::RandomChoice;
        [[nodiscard]] Victim victim() noexcept override { return {}; }
    };
    EXPECT_THAT(storm(factory<Idle>()), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, PagerWithABadPolicy,
                         testing::Values(Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& instance) { return std::string{to_string(instance.param)}; });

TEST(PagerWithAPolicy, PassesOnWhatTheFactoryThrows) {
    Config config;
    config.policy = [](const PolicySetup&) -> std::unique_ptr<ReplacementPolicy> {
        throw std::system_error{ENOTSUP, std::generic_category(), "no policy today"};
    };
    EXPECT_THROW(Pager{config}, std::system_error);
    config.policy = [](const PolicySetup&) { return std::unique_ptr<ReplacementPolicy>{}; };
    EXPECT_THROW(Pager{config}, std::system_error);
}

}  // namespace
}  // namespace faultline::test
