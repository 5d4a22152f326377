// A replacement policy of another project: evicts a random page.
#pragma once

#include <faultline/replacement_policy.hpp>

#include <cstdint>
#include <random>
#include <vector>

class RandomPolicy final : public faultline::ReplacementPolicy {
public:
    explicit RandomPolicy(const faultline::PolicySetup& setup) : place_(setup.capacity + 1) {
        frames_.reserve(setup.capacity);  // nothing may be allocated later
    }

    void mapped(faultline::FrameId frame, const faultline::Arrival&) noexcept override { add(frame); }
    void put_back(faultline::FrameId frame) noexcept override { add(frame); }

    void removed(faultline::FrameId frame) noexcept override {
        frames_[place_[frame]] = frames_.back();  // the last one takes its place
        place_[frames_.back()] = place_[frame];
        frames_.pop_back();
    }

    faultline::Victim victim() noexcept override {
        if (frames_.empty()) return {};
        const faultline::FrameId frame = frames_[random_() % frames_.size()];
        removed(frame);
        return {frame};
    }

private:
    void add(faultline::FrameId frame) {
        place_[frame] = static_cast<std::uint32_t>(frames_.size());
        frames_.push_back(frame);
    }

    std::vector<faultline::FrameId> frames_;
    std::vector<std::uint32_t> place_;  // of each frame in `frames_`
    std::minstd_rand random_;
};
