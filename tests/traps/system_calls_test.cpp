// Trap 2: system calls on absent pages; proves the table in docs/deliveries.md. In signal delivery the kernel cannot
// fault the pages in: the call fails with EFAULT or is short, and never transfers wrong bytes; under a pin it works. In
// thread delivery it works without a pin.

#include "traps/system_calls.hpp"
#include "traps/trap_support.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <tuple>

namespace faultline::test {
namespace {

constexpr std::size_t kTransferPages = 4;
constexpr auto kPage = static_cast<long>(kBasePageBytes);

bool faults_reach_the_kernel(const Variant& variant) { return variant.delivery == Delivery::uffd_threads; }

constexpr std::uint64_t kStrange = std::uint64_t{1} << 40;  // marks the words that Outside offers

std::vector<std::byte> words_from_outside(std::size_t bytes) {
    std::vector<std::byte> all(bytes);
    for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = word_of_unit(at / kBasePageBytes) + kStrange;
        std::memcpy(all.data() + at, &word, sizeof word);
    }
    return all;
}

using Case = std::tuple<Variant, SystemCall>;

struct CaseName {
    std::string operator()(const testing::TestParamInfo<Case>& info) const {
        return label(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
    }
};

class Trap02 : public testing::TestWithParam<Case> {
protected:
    static const Variant& variant() { return std::get<0>(GetParam()); }
    static const SystemCall& call() { return std::get<1>(GetParam()); }
    static Config config() { return config_for(variant(), 4 * kTransferPages * kBasePageBytes); }

    void SetUp() override {
        try {
            outside_ = call().outside();
            outside_->offer(call().into_memory ? words_from_outside(kTransferPages * kBasePageBytes)
                                               : std::vector<std::byte>{});
        } catch (const std::system_error& error) {
            if (not_permitted(error)) GTEST_SKIP() << error.what();
            throw;
        }
    }

    /// Makes the call on the region's first `pages` pages and checks every byte: those that the call reports as moved
    /// are the new ones, those beyond are the new or the old ones. Returns the call's result.
    long transfer(Region& region, std::size_t pages) {
        const std::size_t bytes = pages * kBasePageBytes;
        long result = 0;
        try {
            result = call().run(*outside_, region.data(), bytes);
        } catch (const std::system_error& error) {
            if (error.code().value() != EOPNOTSUPP) throw;
            skipped_ = error.what();
            return 0;
        }
        const std::size_t moved = result < 0 ? 0 : static_cast<std::size_t>(result);
        EXPECT_LE(moved, bytes);
        if (call().into_memory) {
            EXPECT_EQ(wrong_in_memory(region, moved, bytes), 0U);
            evict_all(region);
            EXPECT_EQ(wrong_in_memory(region, moved, bytes), 0U) << "eviction lost what the kernel wrote";
        } else {
            EXPECT_EQ(wrong_outside(moved), 0U);
            EXPECT_EQ(wrong_words(region), 0U);
        }
        return result;
    }

    std::string skipped_;

private:
    static std::size_t wrong_in_memory(const Region& region, std::size_t moved, std::size_t asked) {
        std::size_t wrong = 0;
        for (std::size_t at = 0; at < region.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t old = word_of_unit(at / kBasePageBytes);
            const std::uint64_t found = read_word(region.data() + at);
            const bool came = found == old + kStrange;
            if (at < moved ? !came : found != old && !(came && at < asked)) ++wrong;
        }
        return wrong;
    }

    /// Counts the wrong words outside. A call that failed half way may have moved more bytes than it reported, but only
    /// right ones.
    std::size_t wrong_outside(std::size_t moved) {
        const std::vector<std::byte> taken = outside_->taken();
        std::size_t wrong = taken.size() < moved ? 1 : 0;
        for (std::size_t at = 0; at + sizeof(std::uint64_t) <= taken.size(); at += sizeof(std::uint64_t)) {
            if (read_word(taken.data() + at) != word_of_unit(at / kBasePageBytes)) ++wrong;
        }
        return wrong;
    }

    std::unique_ptr<Outside> outside_;
};

#define FAULTLINE_SKIP_IF_UNAVAILABLE() \
    if (!skipped_.empty()) GTEST_SKIP() << skipped_

TEST_P(Trap02, CallOnAnAbsentPageReturnsEfaultOrWorks) {
    const TestGuard guard;
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    const long result = transfer(region, 1);
    FAULTLINE_SKIP_IF_UNAVAILABLE();
    EXPECT_EQ(result, faults_reach_the_kernel(variant()) ? kPage : -EFAULT);
}

TEST_P(Trap02, CallThatReachesAnAbsentPageIsShortOrWorks) {
    const TestGuard guard;
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    write_word(region.data(), word_of_unit(0));
    const long result = transfer(region, 2);
    FAULTLINE_SKIP_IF_UNAVAILABLE();
    if (faults_reach_the_kernel(variant())) {
        EXPECT_EQ(result, 2 * kPage);
    } else {
        EXPECT_TRUE(result == -EFAULT || (result > 0 && result <= kPage)) << result;
    }
    RecordProperty("result", std::to_string(result));
}

TEST_P(Trap02, CallIntoACleanPageReturnsEfaultOrWorks) {
    const TestGuard guard;
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    for (int i = 0; i < 2; ++i) {  // pages that were written come back writable, and the second time clean
        evict_all(region);
        ASSERT_EQ(wrong_words(region), 0U);
    }
    const long result = transfer(region, 2);
    FAULTLINE_SKIP_IF_UNAVAILABLE();
    EXPECT_EQ(result, call().into_memory && !faults_reach_the_kernel(variant()) ? -EFAULT : 2 * kPage);
}

TEST_P(Trap02, CallUnderAPinWorks) {
    const TestGuard guard;
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    std::optional<Pin> pin{
        region.pin(region.data(), 2 * kBasePageBytes, call().into_memory ? PinFor::writing : PinFor::reading)};
    evict_all(region);  // must not evict pinned pages
    EXPECT_EQ(transfer(region, 2), skipped_.empty() ? 2 * kPage : 0);
    FAULTLINE_SKIP_IF_UNAVAILABLE();
    if (!call().into_memory) return;
    pin.reset();
    evict_all(region);
    for (std::size_t unit = 0; unit < 2; ++unit) {
        EXPECT_EQ(read_word(region.data() + unit * kBasePageBytes), word_of_unit(unit) + kStrange)
            << "eviction lost what the kernel wrote under the pin";
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap02,
                         testing::Combine(testing::ValuesIn(deliveries_and_evictions()),
                                          testing::ValuesIn(system_calls().begin(), system_calls().end())),
                         CaseName{});

// ---- futex words: they lie in one page, so a call cannot be short

class Trap02Futex : public TrapMatrix {
protected:
    static constexpr std::array kScopes{false, true};  // between processes
};

TEST_P(Trap02Futex, WaitOnAnAbsentPageReturnsEfaultOrWorks) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    const bool works = GetParam().delivery == Delivery::uffd_threads;
    const auto matching = static_cast<std::uint32_t>(word_of_unit(0));
    for (const bool shared : kScopes) {
        evict_all(region);
        EXPECT_EQ(wait_on_futex(region.data(), matching + 1, shared), works ? -EAGAIN : -EFAULT);
        evict_all(region);
        EXPECT_EQ(wait_on_futex(region.data(), matching, shared), works ? 0 : -EFAULT);
    }
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap02Futex, WaitUnderAPinWorks) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    const auto matching = static_cast<std::uint32_t>(word_of_unit(0));
    evict_all(region);
    const Pin pin = region.pin(region.data(), kBasePageBytes, PinFor::writing);
    for (const bool shared : kScopes) {
        EXPECT_EQ(wait_on_futex(region.data(), matching + 1, shared), -EAGAIN);
        EXPECT_EQ(wait_on_futex(region.data(), matching, shared), 0);
    }
}

TEST_P(Trap02Futex, WaitUnderAPinForReadingWorksPrivately) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    const Pin pin = region.pin(region.data(), kBasePageBytes, PinFor::reading);
    EXPECT_EQ(wait_on_futex(region.data(), static_cast<std::uint32_t>(word_of_unit(0)), false), 0);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap02Futex, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- retry after EFAULT

class Trap02AfterAFailure : public TrapMatrix {};

TEST_P(Trap02AfterAFailure, FailedCallSucceedsWhenRepeatedAfterATouch) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kTransferPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    EXPECT_EQ(::write(ends[1], region.data(), kBasePageBytes), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(read_word(region.data()), word_of_unit(0));
    EXPECT_EQ(::write(ends[1], region.data(), kBasePageBytes), kPage);
    write_word(region.data(), word_of_unit(0));
    EXPECT_EQ(::read(ends[0], region.data(), kBasePageBytes), kPage);
    EXPECT_EQ(wrong_words(region), 0U);
    ::close(ends[0]);
    ::close(ends[1]);
}

std::vector<Variant> variants_by_signal() {
    std::vector<Variant> some = variants_of(Delivery::uffd_signal);
    for (const Variant& variant : variants_of(Delivery::sigsegv)) some.push_back(variant);
    return some;
}
INSTANTIATE_TEST_SUITE_P(Matrix, Trap02AfterAFailure, testing::ValuesIn(variants_by_signal()), VariantName{});

}  // namespace
}  // namespace faultline::test
