// A family of clones under random writes, mappings, clones and destructions, each checked against an array of its own.
#include "space/clone_support.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::size_t kPagesEach = 64;  // pages of zeros, and as many of a file
constexpr std::size_t kWords = kPage / sizeof(std::uint64_t);
constexpr std::size_t kMostSpaces = 6;

std::uint64_t seed_of_this_run() {
    const char* const given = std::getenv("FAULTLINE_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261126;
}

/// A space, and the expected value of each word of its two mappings.
struct Member {
    explicit Member(AddressSpace made) : space{std::move(made)} {}

    [[nodiscard]] std::byte* at(std::size_t word) const {
        const std::size_t offset = word * sizeof(std::uint64_t);
        return offset < kPagesEach * kPage ? zeros + offset : file + (offset - kPagesEach * kPage);
    }

    AddressSpace space;
    std::byte* zeros = nullptr;
    std::byte* file = nullptr;
    std::vector<std::uint64_t> words;
};

class CloneRandom : public SpaceTest {
protected:
    static constexpr int kSteps = 500;

    static constexpr std::size_t kLimit = 48;  // pages; each space has 128

    [[nodiscard]] Config config() const override {
        Config config = config_for(GetParam(), kLimit * kPage);
        if (compressed()) config.compressed_limit = std::size_t{256} << 10;
        return config;
    }
    [[nodiscard]] virtual bool compressed() const { return false; }

    void run(std::uint64_t seed);

private:
    void add_first() {
        auto first = std::make_unique<Member>(AddressSpace{pager()});
        first->zeros = first->space.map_anonymous(kPagesEach * kPage);
        first->file = first->space.map_file(file_.fd(), 0, kPagesEach * kPage);
        first->words.resize(2 * kPagesEach * kWords);
        std::memcpy(first->words.data() + kPagesEach * kWords, contents_.data(), kPagesEach * kPage);
        family_.push_back(std::move(first));
    }
    void clone(Member& from) {
        auto fresh = std::make_unique<Member>(from.space.clone());
        fresh->zeros = fresh->space.counterpart(from.space, from.zeros);
        fresh->file = fresh->space.counterpart(from.space, from.file);
        fresh->words = from.words;
        family_.push_back(std::move(fresh));
    }
    void map_anew(Member& member, std::size_t page, std::size_t pages) {
        std::byte* const at = member.zeros + page * kPage;
        member.space.unmap(at, pages * kPage);
        static_cast<void>(member.space.map_anonymous(pages * kPage, {.address = at}));
        std::fill_n(member.words.begin() + static_cast<std::ptrdiff_t>(page * kWords), pages * kWords, 0);
    }
    static void zero(Member& member, std::size_t page) {
        std::memset(member.at(page * kWords), 0, kPage);
        std::fill_n(member.words.begin() + static_cast<std::ptrdiff_t>(page * kWords), kWords, 0);
    }
    static void check_all(const Member& member) {
        for (std::size_t page = 0; page < 2 * kPagesEach; ++page) {
            ASSERT_EQ(std::memcmp(member.at(page * kWords), member.words.data() + page * kWords, kPage), 0)
                << "page " << page;
        }
    }

    const PatternFile file_{kPagesEach * kPage};
    const std::vector<std::byte> contents_ = file_.contents();
    std::vector<std::unique_ptr<Member>> family_;
};

void CloneRandom::run(std::uint64_t seed) {
    SCOPED_TRACE("FAULTLINE_TEST_SEED=" + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
    add_first();
    for (int step = 0; step < kSteps; ++step) {
        const std::size_t chosen = below(family_.size());
        Member& member = *family_[chosen];
        const std::size_t kind = below(120);
        if (kind < 3) {
            if (family_.size() < kMostSpaces) clone(member);
        } else if (kind < 5) {
            if (family_.size() > 1) family_.erase(family_.begin() + static_cast<std::ptrdiff_t>(chosen));
        } else if (kind < 8) {
            const std::size_t page = below(kPagesEach);
            map_anew(member, page, 1 + below(std::min<std::size_t>(kPagesEach - page, 12)));
        } else if (kind < 14) {
            zero(member, below(2 * kPagesEach));
        } else if (kind < 20) {
            member.space.advise(member.zeros + below(kPagesEach) * kPage, kPage, Advice::dontneed);
        } else {
            // A few in sequence, so that prefetching detects a walk.
            const std::size_t pages = 1 + below(8);
            const std::size_t first = below(2 * kPagesEach - pages);
            for (std::size_t page = first; page < first + pages; ++page) {
                const std::size_t word = page * kWords + below(kWords);
                ASSERT_EQ(load_word(member.at(word)), member.words[word]) << "step " << step << ", page " << page;
                if (kind % 2 == 0) store_word(member.at(word), member.words[word] = random());
            }
        }
        ASSERT_LE(pager().stats().frames_used, kLimit * kPage);
    }
    for (const auto& member : family_) check_all(*member);
    family_.erase(family_.begin());  // in order of creation: originals first
    while (!family_.empty()) {
        check_all(*family_.back());
        family_.pop_back();
    }
    const PagerStats after = pager().stats();
    EXPECT_EQ(after.frames_used, 0U);
    EXPECT_EQ(after.swapped_bytes, 0U);
    EXPECT_EQ(after.failed_faults, 0U);
}

TEST_P(CloneRandom, HaveTheBytesOfTheirShadowArrays) { run(seed_of_this_run()); }

INSTANTIATE_TEST_SUITE_P(Deliveries, CloneRandom, ::testing::ValuesIn(kCloneVariants), VariantName{});

class CloneRandomCompressed : public CloneRandom {
protected:
    [[nodiscard]] bool compressed() const override { return true; }
};

TEST_P(CloneRandomCompressed, HaveTheBytesOfTheirShadowArrays) { run(seed_of_this_run()); }

INSTANTIATE_TEST_SUITE_P(Deliveries, CloneRandomCompressed, ::testing::Values(Variant{Delivery::uffd_threads}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
