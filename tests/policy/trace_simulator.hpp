// A pager without pages: runs a ReplacementPolicy over a trace like faultline's pager, and counts accesses that cost
// I/O. Resident and staged pages together never exceed the frames. The policy sees faults and evictions only, never
// hits.
#pragma once

#include "policy/fifo.hpp"
#include "policy/second_chance.hpp"

#include <cmath>
#include <cstdint>
#include <deque>
#include <random>
#include <unordered_map>
#include <vector>

namespace faultline::test {

using Trace = std::vector<std::uint32_t>;

struct TraceResult {
    std::uint64_t hits = 0;  ///< Accesses without I/O: to mapped pages, or to staged ones.
    std::uint64_t accesses = 0;
    std::size_t most_frames = 0;

    [[nodiscard]] double hit_rate() const { return static_cast<double>(hits) / static_cast<double>(accesses); }
};

class TraceSimulator {
public:
    TraceSimulator(policy::ReplacementPolicy& policy, std::size_t frames)
        : policy_{policy}, frames_{frames}, staging_target_{policy.staging_target(frames)}, page_in_(frames + 1) {
        for (std::size_t frame = frames; frame > 0; --frame) free_.push_back(static_cast<policy::FrameId>(frame));
    }

    TraceResult run(const Trace& trace) {
        for (std::uint32_t page : trace) {
            ++result_.accesses;
            if (access(page)) ++result_.hits;
            const std::size_t used = frames_ - free_.size();
            if (used > result_.most_frames) result_.most_frames = used;
        }
        return result_;
    }

private:
    enum class Where : std::uint8_t { nowhere, mapped, staged, stored };
    struct Page {
        Where where = Where::nowhere;
        policy::FrameId frame = policy::kNoFrame;
        std::uint8_t tag = 0;
        std::uint32_t left_at = 0;
    };

    bool access(std::uint32_t number) {
        Page& page = pages_[number];
        using Kind = policy::Arrival::Kind;
        switch (page.where) {
            case Where::mapped:
                return true;
            case Where::staged:
                map(number, page, page.frame, {Kind::soft_fault});
                return true;
            case Where::stored:
                map(number, page, take_frame(), {Kind::hard_fault, evictions_ - page.left_at, page.tag});
                return false;
            case Where::nowhere:
                map(number, page, take_frame(), {Kind::first_touch});
                return false;
        }
        return false;
    }

    void map(std::uint32_t number, Page& page, policy::FrameId frame, const policy::Arrival& arrival) {
        page.where = Where::mapped;
        page.frame = frame;
        page_in_[frame] = number;
        policy_.mapped(frame, arrival);
    }

    policy::FrameId take_frame() {
        while (free_.empty()) {
            if (staging_.size() <= staging_target_) stage_victim();
            settle_oldest();
        }
        const policy::FrameId frame = free_.back();
        free_.pop_back();
        return frame;
    }

    void stage_victim() {
        const policy::Victim victim = policy_.victim();
        Page& page = pages_[page_in_[victim.frame]];
        page.where = Where::staged;
        page.tag = victim.tag;
        staging_.push_back(page_in_[victim.frame]);
    }

    void settle_oldest() {
        if (staging_.size() <= staging_target_) return;
        Page& page = pages_[staging_.front()];
        staging_.pop_front();
        if (page.where != Where::staged) return;  // taken back, with its frame
        page.where = Where::stored;
        page.left_at = evictions_++;
        free_.push_back(page.frame);
    }

    policy::ReplacementPolicy& policy_;
    std::size_t frames_;
    std::size_t staging_target_;
    std::vector<std::uint32_t> page_in_;
    std::vector<policy::FrameId> free_;
    std::deque<std::uint32_t> staging_;
    std::unordered_map<std::uint32_t, Page> pages_;
    std::uint32_t evictions_ = 0;
    TraceResult result_;
};

inline TraceResult run_fifo(const Trace& trace, std::size_t frames) {
    std::vector<policy::FrameLinks> links(frames + 1);
    policy::Fifo fifo{links};
    return TraceSimulator{fifo, frames}.run(trace);
}

inline TraceResult run_second_chance(const Trace& trace, std::size_t frames) {
    std::vector<policy::FrameLinks> links(frames + 1);
    std::vector<policy::FrameId> main_slots(frames + 1);
    policy::SecondChance second_chance{links, main_slots, frames, 0};
    return TraceSimulator{second_chance, frames}.run(trace);
}

/// Accesses page k of `pages` in proportion to 1 / (k + 1)^skew; the page numbers are scattered.
inline Trace zipf_trace(std::uint32_t pages, double skew, std::size_t accesses, std::uint64_t seed) {
    std::vector<double> weights(pages);
    for (std::uint32_t page = 0; page < pages; ++page) weights[page] = 1.0 / std::pow(page + 1, skew);
    std::discrete_distribution<std::uint32_t> pick{weights.begin(), weights.end()};
    std::mt19937_64 random{seed};
    Trace trace(accesses);
    for (std::uint32_t& page : trace) page = pick(random);
    return trace;
}

inline Trace loop_trace(std::uint32_t pages, std::size_t rounds) {
    Trace trace;
    trace.reserve(std::size_t{pages} * rounds);
    for (std::size_t round = 0; round < rounds; ++round) {
        for (std::uint32_t page = 0; page < pages; ++page) trace.push_back(page);
    }
    return trace;
}

}  // namespace faultline::test
