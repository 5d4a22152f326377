/// @file
/// The conformance suite for replacement policies. Included by conformance.hpp.
#pragma once

#include <faultline/language.hpp>

#include <faultline/conformance/storm.hpp>
#include <faultline/replacement_policy.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace faultline {
inline namespace v0 {

/// @cond
namespace conformance {

/// Makes random calls of a policy, as a pager may make them, and compares its answers with a model.
class PolicyTrial {
public:
    PolicyTrial(ReplacementPolicy& policy, const PolicySetup& setup, std::uint64_t seed, Findings& findings)
        : policy_{policy}, frames_{setup.frames}, random_{seed}, findings_{findings} {
        for (std::size_t frame = 1; frame <= setup.capacity; ++frame) free_.insert(static_cast<FrameId>(frame));
    }

    /// Returns false once a rule is broken: what follows would tell nothing.
    [[nodiscard]] bool run(std::size_t steps) {
        for (std::size_t i = 0; i < steps && sound_; ++i) step();
        while (sound_ && !listed_.empty()) take_victim();
        if (sound_ && policy_.victim().frame != kNoFrame) broken("victim returns a frame, although it has none");
        return sound_;
    }

private:
    void step() {
        switch (random_() % 10) {
            case 0:
            case 1:
            case 2:
                return map_one();
            case 3:
            case 4:
                return take_victim();
            case 5:
                return put_one_back();
            case 6:
                if (!listed_.empty()) policy_.demote(any_of(listed_));
                return;
            case 7:
                if (!listed_.empty()) policy_.referenced(any_of(listed_));
                return;
            case 8:
                return remove_one();
            default:
                return resize();
        }
    }

    void map_one() {
        // As in a pager, most frames are in use.
        if (free_.empty() || (listed_.size() >= frames_ && random_() % 8 != 0)) return take_victim();
        const FrameId frame = any_of(free_);
        const auto kind = static_cast<Arrival::Kind>(random_() % 4);
        const bool hard = kind == Arrival::Kind::hard_fault;
        const auto evictions = static_cast<std::uint32_t>(random_() % (10 * frames_ + 1));
        policy_.mapped(frame, {kind, hard ? evictions : 0, hard ? tags_[random_() % tags_.size()] : std::uint8_t{0}});
        free_.erase(frame);
        listed_.insert(frame);
    }

    void take_victim() {
        const Victim victim = policy_.victim();
        if (victim.tag > Victim::kMaxTag) return broken("victim returns the tag " + std::to_string(victim.tag));
        tags_[random_() % tags_.size()] = victim.tag;
        if (victim.frame == kNoFrame) {
            if (!listed_.empty()) broken("victim returns no frame, although it has " + std::to_string(listed_.size()));
            return;
        }
        if (listed_.erase(victim.frame) == 0) {
            return broken("victim returns frame " + std::to_string(victim.frame) + ", which the policy does not have");
        }
        (random_() % 4 == 0 ? taken_ : free_).insert(victim.frame);
    }

    void put_one_back() {
        if (taken_.empty()) return;
        const FrameId frame = any_of(taken_);
        policy_.put_back(frame);
        taken_.erase(frame);
        listed_.insert(frame);
    }

    void remove_one() {
        if (listed_.empty()) return;
        const FrameId frame = any_of(listed_);
        policy_.removed(frame);
        listed_.erase(frame);
        free_.insert(frame);
    }

    void resize() {
        const std::size_t capacity = free_.size() + listed_.size() + taken_.size();
        frames_ = 1 + random_() % capacity;
        policy_.resized(frames_);
        const std::size_t staged = policy_.staging_target(frames_);
        if (staged > frames_) {
            broken("staging_target returns " + std::to_string(staged) + " of " + std::to_string(frames_) + " frames");
        }
    }

    FrameId any_of(const std::set<FrameId>& set) {
        return *std::next(set.begin(), static_cast<std::ptrdiff_t>(random_() % set.size()));
    }
    void broken(std::string rule) {
        findings_.add(std::move(rule));
        sound_ = false;
    }

    ReplacementPolicy& policy_;
    std::size_t frames_;
    std::mt19937_64 random_;
    Findings& findings_;
    bool sound_ = true;
    std::set<FrameId> free_;
    std::set<FrameId> listed_;                                        // the policy has them
    std::set<FrameId> taken_;                                         // victims that may be put back
    std::vector<std::uint8_t> tags_ = std::vector<std::uint8_t>(64);  // of victims; 0 at first
};

}  // namespace conformance
/// @endcond

/// Tests the policies that `make_policy` makes. Returns what is wrong, at most ten lines; empty if nothing was found.
/// Passes on what `make_policy` throws. It cannot see whether a function allocates memory or locks.
[[nodiscard]] inline std::vector<std::string> check_policy(const PolicyFactory& make_policy,
                                                           const ConformanceOptions& options = {}) {
    conformance::Findings findings;
    bool sound = true;
    for (const PolicySetup& setup : {PolicySetup{1, 1, 0}, PolicySetup{100, 100, 3}, PolicySetup{300, 50, 0}}) {
        const std::unique_ptr<ReplacementPolicy> policy = make_policy(setup);
        if (policy == nullptr) return {"the factory returns no policy"};
        sound = sound && conformance::PolicyTrial{*policy, setup, options.seed, findings}.run(options.steps);
    }
    Config config;
    config.policy = make_policy;
    if (sound) conformance::check_in_pager(config, options, findings);
    return findings.take();
}

}  // namespace v0
}  // namespace faultline
