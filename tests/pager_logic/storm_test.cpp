// Many threads use every operation of the pager at once: no word is lost, the mapper's contract is kept, and there are
// never more frames than the limit. ThreadSanitizer checks all of it.

#include "machine.hpp"

#include "pager_parts/threads.hpp"

#include <faultline/pager.hpp>

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <system_error>
#include <vector>

namespace faultline::test {
namespace {

constexpr unsigned kThreads = 4;
constexpr std::size_t kPages = 64;
constexpr int kSteps = 4000;

/// A region whose words and pages belong to threads in turn, and the expected values of the words.
struct Field {
    pager::Region& region;
    bool pages_owned;
    std::vector<std::uint64_t> expected = std::vector<std::uint64_t>(region.pages() * kWordsPerPage);

    static constexpr std::size_t kWordsPerPage = 8;  // words that are used, spread over the page

    [[nodiscard]] std::size_t offset_of(std::size_t word) const {
        return word / kWordsPerPage * region.page_bytes() +
               word % kWordsPerPage * (region.page_bytes() / kWordsPerPage);
    }
    [[nodiscard]] bool owned(std::size_t word, unsigned thread) const {
        return (pages_owned ? word / kWordsPerPage : word) % kThreads == thread;
    }
};

/// One thread of the storm.
class Actor {
public:
    Actor(Machine& machine, std::vector<Field>& fields, unsigned thread)
        : machine_{machine}, fields_{fields}, thread_{thread}, random_{thread * 7919U + 1} {}

    void run() {
        for (int i = 0; i < kSteps && !::testing::Test::HasFailure(); ++i) step();
        release();
        for (Field& field : fields_) {
            for (std::size_t word = 0; word < field.expected.size(); ++word) check(field, word);
        }
    }

private:
    [[nodiscard]] std::size_t below(std::size_t end) {
        return std::uniform_int_distribution<std::size_t>{0, end - 1}(random_);
    }
    [[nodiscard]] Field& any_field() { return fields_[below(fields_.size())]; }
    [[nodiscard]] std::uint64_t own_page(const Field& field) {
        return below(field.region.pages() / kThreads) * kThreads + thread_;
    }

    void step() {
        const std::size_t choice = below(100);
        if (choice < 38) return read();
        if (choice < 76) return write();
        if (choice < 80) return discard();
        if (choice < 84) return pin();
        if (choice < 88) return release();
        if (choice < 91) return protect();
        if (choice < 94) return evict();
        if (choice < 97) return bring_ahead();
        if (choice < 98) return move_limit();
        if (choice < 99) return static_cast<void>(machine_.pager().stats());
        if (below(8) == 0) use_own_region();
    }

    void check(Field& field, std::size_t word) {
        if (!field.owned(word, thread_)) return;
        EXPECT_EQ(machine_.load(field.region, field.offset_of(word)), field.expected[word]) << "word " << word;
    }

    void read() {
        Field& field = any_field();
        const std::size_t first = below(field.expected.size());
        const std::size_t end = std::min(first + 4 * Field::kWordsPerPage, field.expected.size());
        for (std::size_t word = first; word < end; ++word) check(field, word);
    }

    void write() {
        Field& field = any_field();
        for (std::size_t word = below(field.expected.size()); word < field.expected.size(); ++word) {
            if (!field.owned(word, thread_)) continue;
            const std::uint64_t value = below(10) == 0 ? 0 : random_();
            machine_.store(field.region, field.offset_of(word), value);
            field.expected[word] = value;
            return;
        }
    }

    void discard() {
        Field& field = any_field();
        if (!field.pages_owned) return;
        const std::uint64_t page = own_page(field);
        try {
            machine_.pager().discarder().discard(field.region, {page, 1});
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code().value(), EBUSY) << error.what();
            return;
        }
        for (std::size_t i = 0; i < Field::kWordsPerPage; ++i) field.expected[page * Field::kWordsPerPage + i] = 0;
        check(field, page * Field::kWordsPerPage);
    }

    void pin() {
        if (pinned_ != nullptr) return;
        Field& field = any_field();
        const core::PageRange range{own_page(field), 1};
        try {
            machine_.pager().pins().pin(field.region, range, below(2) == 0 ? PinFor::reading : PinFor::writing);
        } catch (const std::system_error& error) {
            const bool disk = machine_.kind().failures.reads + machine_.kind().failures.writes > 0;
            EXPECT_TRUE(error.code().value() == ENOMEM || disk) << error.what();
            return;
        }
        pinned_ = &field;
        pinned_range_ = range;
    }

    void release() {
        if (pinned_ == nullptr) return;
        machine_.pager().unpin(pinned_->region, pinned_range_);
        pinned_ = nullptr;
    }

    void protect() {
        Field& field = any_field();
        if (!field.pages_owned) return;
        const std::uint64_t page = own_page(field);
        const bool pinned = pinned_ == &field && pinned_range_.first == page;
        machine_.pager().protector().protect(field.region, {page, 1}, Access::read);
        check(field, page * Field::kWordsPerPage + 1);
        if (!pinned && below(2) == 0) machine_.pager().protector().protect(field.region, {page, 1}, Access::none);
        machine_.pager().protector().protect(field.region, {page, 1}, Access::read_write);
        check(field, page * Field::kWordsPerPage + 2);
    }

    void evict() {
        Field& field = any_field();
        const std::uint64_t first = below(field.region.pages());
        machine_.pager().advice().evict(field.region,
                                        {first, std::min<std::uint64_t>(8, field.region.pages() - first)});
    }

    void bring_ahead() {
        Field& field = any_field();
        const std::uint64_t first = below(field.region.pages());
        machine_.pager().read_ahead().prefetch(field.region,
                                               {first, std::min<std::uint64_t>(8, field.region.pages() - first)});
    }

    void move_limit() {
        const std::size_t most = machine_.kind().limit_pages;
        const std::size_t pages = faultline::Pager::kMinimumPages + below(most - faultline::Pager::kMinimumPages + 1);
        try {
            machine_.pager().limit().set(pages * machine_.kind().page_size);
        } catch (const std::system_error& error) {
            EXPECT_TRUE(error.code().value() == EBUSY || machine_.kind().failures.writes > 0) << error.what();
        }
    }

    void use_own_region() {
        pager::Region& region = machine_.pager().reserve(8 * machine_.kind().page_size, machine_.kind().page_size);
        for (std::size_t page = 0; page < 8; ++page) machine_.store(region, page * region.page_bytes(), page + 1);
        for (std::size_t page = 0; page < 8; ++page) {
            EXPECT_EQ(machine_.load(region, page * region.page_bytes()), page + 1);
        }
        machine_.pager().destroy(region);
    }

    Machine& machine_;
    std::vector<Field>& fields_;
    unsigned thread_;
    std::mt19937_64 random_;
    Field* pinned_ = nullptr;
    core::PageRange pinned_range_{};
};

void run_storm(const MachineKind& kind) {
    std::shared_ptr<MmuRecord> record;
    {
        Machine machine{kind};
        record = machine.record();
        std::vector<Field> fields;
        for (const bool pages_owned : {true, false}) {
            fields.push_back({machine.pager().reserve(kPages * kind.page_size, kind.page_size), pages_owned});
        }
        run_threads(kThreads, [&](unsigned thread) { Actor{machine, fields, thread}.run(); });
        EXPECT_LE(machine.pager().stats().frames_used, machine.pager().resident_limit());
        EXPECT_EQ(machine.pager().stats().pinned_bytes, 0U);
        for (const Field& field : fields) machine.pager().destroy(field.region);
        EXPECT_EQ(machine.pager().stats().resident_bytes + machine.pager().stats().staged_bytes, 0U);
        EXPECT_EQ(record->frames.load(), 0) << "frames are left when no region is";
    }
    EXPECT_EQ(record->broken_promises.load(), 0);
    EXPECT_LE(record->most_frames.load(), static_cast<std::int64_t>(kind.limit_pages * kind.page_size / 4096));
}

struct StormCase {
    const char* name;
    MachineKind kind;
};
void PrintTo(const StormCase& one, std::ostream* out) { *out << one.name; }

std::vector<StormCase> cases() {
    using core::FaultOrigin;
    const auto kind = [](StagedFrames frames, FaultOrigin origin, std::size_t limit) {
        MachineKind made;
        made.frames = frames;
        made.origin = origin;
        made.limit_pages = limit;
        return made;
    };
    std::vector<StormCase> all{
        {"move_few_frames", kind(StagedFrames::move, FaultOrigin::faulting_thread, 12)},
        {"copy_few_frames", kind(StagedFrames::copy, FaultOrigin::faulting_thread, 12)},
        {"stay_few_frames", kind(StagedFrames::stay, FaultOrigin::faulting_thread, 12)},
        {"move_handler_threads", kind(StagedFrames::move, FaultOrigin::handler_thread, 24)},
        {"copy_handler_threads", kind(StagedFrames::copy, FaultOrigin::handler_thread, 24)},
        {"move_large_pages", kind(StagedFrames::move, FaultOrigin::faulting_thread, 24)},
        {"copy_refused_and_evictor", kind(StagedFrames::copy, FaultOrigin::faulting_thread, 32)},
        {"move_refused_and_evictor", kind(StagedFrames::move, FaultOrigin::faulting_thread, 32)},
        {"stay_short_of_mappings", kind(StagedFrames::stay, FaultOrigin::faulting_thread, 40)},
        {"move_failing_disk", kind(StagedFrames::move, FaultOrigin::faulting_thread, 24)},
        {"copy_failing_disk_handler_threads", kind(StagedFrames::copy, FaultOrigin::handler_thread, 24)},
        {"stay_failing_disk", kind(StagedFrames::stay, FaultOrigin::faulting_thread, 24)},
    };
    for (StormCase& one : all) {
        const std::string name = one.name;
        const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
        if (has("large")) one.kind.page_size = std::size_t{16} << 10;
        if (has("refused")) one.kind.refusals = 20;
        if (has("evictor") || has("disk")) one.kind.background_evictor = one.kind.read_ahead = true;
        if (has("short")) one.kind.shortages = 50;
        if (has("disk")) one.kind.failures = {30, 30};
        if (has("copy")) one.kind.replacement = Replacement::fifo;
    }
    return all;
}

struct StormName {
    template <typename Info>
    std::string operator()(const Info& info) const {
        return info.param.name;
    }
};

class Storm : public ::testing::TestWithParam<StormCase> {};

TEST_P(Storm, LosesNoWordAndKeepsEveryPromise) { run_storm(GetParam().kind); }

/// Enough frames that pages are staged and the evictor runs ahead: the staging zone is in use.
TEST_P(Storm, LosesNoWordWithAStagingZone) {
    constexpr std::size_t kOwn =
        500;  // pages of a thread: more than there are frames, even if the other threads have ended
    MachineKind kind = GetParam().kind;
    if (kind.page_size != kBasePageBytes) GTEST_SKIP() << "the region would be large";
    kind.limit_pages = 300;
    Machine machine{kind};
    const std::shared_ptr<MmuRecord> record = machine.record();
    pager::Region& region = machine.pager().reserve(kOwn * kThreads * kBasePageBytes, kBasePageBytes);
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{thread + 1};
        std::vector<std::uint64_t> expected(kOwn);
        for (int i = 0; i < 3000; ++i) {
            const std::size_t own = std::uniform_int_distribution<std::size_t>{0, kOwn - 1}(random);
            const std::size_t offset = (own * kThreads + thread) * kBasePageBytes;
            EXPECT_EQ(machine.load(region, offset), expected[own]);
            if (i % 2 == 0) machine.store(region, offset, expected[own] = random());
        }
    });
    const RegionStats stats = machine.pager().stats();
    EXPECT_GT(stats.hard_faults, 0U);
    machine.pager().destroy(region);
    EXPECT_EQ(record->broken_promises.load(), 0);
    EXPECT_EQ(record->frames.load(), 0);
    EXPECT_LE(record->most_frames.load(), static_cast<std::int64_t>(kind.limit_pages));
}

INSTANTIATE_TEST_SUITE_P(kinds, Storm, ::testing::ValuesIn(cases()), StormName{});

}  // namespace
}  // namespace faultline::test
