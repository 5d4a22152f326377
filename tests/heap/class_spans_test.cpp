// ClassSpans against an oracle: which blocks are handed out, which pages are dead, and which span the next blocks come
// from.
#include "heap/class_spans.hpp"

#include "heap/span_metadata.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>
#include <vector>

namespace faultline::heap {
namespace {

/// Spans of one class, adjacent from page 0 on. Their addresses are not backed by memory.
class Spans {
public:
    explicit Spans(std::size_t bytes) : size_class{class_of(bytes)} {}

    Span& add() {
        Span& span = all.emplace_back();
        const ClassShape& its = shape(size_class);
        span.pages = {(all.size() - 1) * its.span_pages, its.span_pages};
        span.begin = span.pages.first * core::kUnitBytes;
        span.size_class = size_class;
        span.kind = SpanKind::blocks;
        span.block_bytes = its.block_bytes;
        span.reciprocal = its.reciprocal;
        span.blocks = span.free_blocks = its.blocks;
        EXPECT_TRUE(notes.take(span));
        spans.add(span);
        return span;
    }
    FreeBlock take_one(Span& span) {
        FreeBlock block;
        EXPECT_EQ(spans.take(span, nullptr, life, {&block, 1}), 1U);
        return block;
    }
    [[nodiscard]] static std::uint64_t offset_of(FreeBlock block) {
        return reinterpret_cast<std::uint64_t>(block.block);
    }
    bool put_back(Span& span, std::uint64_t offset) {
        return spans.put_back(span, span.position_of(offset).index, life);
    }

    SizeClass size_class;
    PageLife life{4096};
    SpanMetadata notes{1U << 22};
    ClassSpans spans;
    std::deque<Span> all;
};

class EveryShape : public testing::TestWithParam<std::size_t> {};

TEST_P(EveryShape, ABlockIsHandedOutOnceAndAPageDiesWithItsLastBlock) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random{seed};
    Spans its{GetParam()};
    Span& span = its.add();
    std::set<std::uint64_t> out;
    std::vector<std::uint64_t> on_page(span.pages.count);
    const auto count = [&](std::uint64_t offset, bool add) {
        for (std::uint64_t page = offset / 4096; page <= (offset + span.block_bytes - 1) / 4096; ++page) {
            on_page[page] += add ? 1 : ~std::uint64_t{0};
        }
    };
    std::vector<bool> touched(span.pages.count);
    for (int step = 0; step < 3000; ++step) {
        const bool fill = step / 500 % 2 == 0 ? random() % 4 != 0 : random() % 4 == 0;
        if (fill && span.free_blocks > 0) {
            const std::uint64_t offset = Spans::offset_of(its.take_one(span));
            ASSERT_EQ(offset % span.block_bytes, 0U);
            ASSERT_TRUE(out.insert(offset).second) << "handed out twice";
            count(offset, true);
        } else if (!out.empty()) {
            const auto chosen = std::next(out.begin(), static_cast<long>(random() % out.size()));
            ASSERT_TRUE(its.put_back(span, *chosen));
            ASSERT_FALSE(its.put_back(span, *chosen)) << "put back twice";
            count(*chosen, false);
            out.erase(chosen);
        }
        ASSERT_EQ(span.free_blocks + out.size(), span.blocks);
        std::uint64_t dead = 0;
        for (std::uint64_t page = 0; page < span.pages.count; ++page) {
            touched[page] = touched[page] || on_page[page] > 0;
            const bool is_dead = touched[page] && on_page[page] == 0;
            ASSERT_EQ(its.life.is_dead(page), is_dead) << "page " << page;
            ASSERT_EQ(its.life.is_fresh(page), !touched[page]);
            dead += is_dead ? 1U : 0U;
        }
        ASSERT_EQ(its.life.dead_bytes(), dead * 4096);
    }
}

INSTANTIATE_TEST_SUITE_P(Bytes, EveryShape, testing::Values(16, 48, 112, 320, 1280, 4096, 5120, 14336, 98304));

TEST(ClassSpans, APageThatIsHeldGivesNoBlock) {
    Spans its{1280};
    Span& span = its.add();
    its.spans.hold_page(span, 1);
    its.spans.hold_page(span, 2);
    while (span.free_blocks > 0) {
        const std::uint64_t offset = Spans::offset_of(its.take_one(span));
        EXPECT_TRUE(offset + span.block_bytes <= 4096 || offset >= 3 * 4096) << offset;
    }
    its.spans.release_page(span, 1);
    its.spans.release_page(span, 2);
    EXPECT_EQ(span.free_blocks, 7U) << "the blocks that touch bytes 4096 to 12287: from 3840 on, 1280 bytes each";
}

TEST(ClassSpans, TheFullestYoungSpanComesFirst) {
    Spans its{4096};
    Span& first = its.add();
    Span& second = its.add();
    for (int i = 0; i < 4; ++i) static_cast<void>(its.take_one(first));
    for (int i = 0; i < 13; ++i) static_cast<void>(its.take_one(second));
    EXPECT_EQ(its.spans.best(false), &second);
    while (second.free_blocks > 0) static_cast<void>(its.take_one(second));
    EXPECT_EQ(its.spans.best(false), &first);
}

TEST(ClassSpans, OldSpansWithFewFreeBlocksAreNotUsed) {
    Spans its{4096};
    Span& old = its.add();
    std::vector<std::uint64_t> offsets;
    while (old.free_blocks > 0) offsets.push_back(Spans::offset_of(its.take_one(old)));
    for (int i = 0; i < 8; ++i) {
        Span& younger = its.add();
        while (younger.free_blocks > 0) static_cast<void>(its.take_one(younger));
    }
    ASSERT_TRUE(its.put_back(old, offsets[3]));
    EXPECT_EQ(its.spans.best(false), nullptr) << "an old span with one free block";
    EXPECT_EQ(its.spans.best(true), &old);
    for (int i = 4; i < 12; ++i) ASSERT_TRUE(its.put_back(old, offsets[static_cast<std::size_t>(i)]));
    EXPECT_EQ(its.spans.best(false), &old) << "an old span with half of its blocks free";
}

TEST(ClassSpans, AnAdoptedSpanIsOldAndGivesItsFreeBlocks) {
    Spans from{1280};
    Span& span = from.add();
    std::vector<std::uint64_t> offsets;
    while (span.free_blocks > 0) offsets.push_back(Spans::offset_of(from.take_one(span)));
    ClassSpans to;
    EXPECT_EQ(to.adopt_from(from.spans), nullptr) << "a span without a free block";
    for (std::size_t i = 0; i < offsets.size() / 2; ++i) ASSERT_TRUE(from.put_back(span, offsets[i]));
    EXPECT_EQ(to.adopt_from(from.spans), &span);
    EXPECT_EQ(from.spans.spans, 0U);
    EXPECT_EQ(from.spans.free_blocks, 0U);
    EXPECT_EQ(from.spans.best(true), nullptr);
    EXPECT_EQ(to.spans, 1U);
    EXPECT_EQ(to.free_blocks, offsets.size() / 2);
    EXPECT_EQ(span.age, SpanAge::old);
    EXPECT_EQ(to.best(false), &span);
}

TEST(ClassSpans, TheLowestEmptySpanIsKeptAndOthersAreRemoved) {
    Spans its{8192};
    Span* const spans[] = {&its.add(), &its.add(), &its.add()};
    std::uint64_t offsets[3];
    for (int i = 0; i < 3; ++i) offsets[i] = Spans::offset_of(its.take_one(*spans[i]));
    const auto empty = [&](int i) {
        EXPECT_TRUE(its.put_back(*spans[i], offsets[i]));
        return its.spans.remove_surplus(*spans[i]);
    };
    EXPECT_EQ(empty(1), nullptr);
    EXPECT_EQ(empty(2), spans[2]);
    EXPECT_EQ(empty(0), spans[1]);
    EXPECT_EQ(its.spans.spans, 1U);
    EXPECT_EQ(its.spans.take_unused(), spans[0]);
    EXPECT_EQ(its.spans.best(true), nullptr);
}

}  // namespace
}  // namespace faultline::heap
