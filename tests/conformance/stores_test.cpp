// The conformance suite for stores, and pagers over stores of the program: pages come back as they were written, and a
// store that loses or changes bytes is found.
#include <faultline/conformance.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <vector>

namespace faultline::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::size_t kUnit = kBasePageBytes;

ConformanceOptions with_printed_seed() {
    const std::uint64_t seed = std::random_device{}();
    testing::Test::RecordProperty("seed", std::to_string(seed));
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    return {.seed = seed, .steps = 30'000, .accesses = 8'000};
}

/// Units of 4 KiB in a map. Derived stores break a rule each.
class MapStore : public Store {
public:
    [[nodiscard]] std::uint64_t size() const noexcept override { return std::uint64_t{64} << 20; }
    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) override {
        const std::lock_guard lock{mutex_};
        for (std::size_t at = 0; at < into.size(); at += kUnit) {
            const auto found = units_.find(offset + at);
            if (found != units_.end()) std::memcpy(into.data() + at, found->second.data(), kUnit);
        }
        return 0;
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        const std::lock_guard lock{mutex_};
        for (std::size_t at = 0; at < from.size(); at += kUnit) {
            const auto unit = from.subspan(at, kUnit);
            units_[offset + at].assign(unit.begin(), unit.end());
        }
        return 0;
    }
    void discard(std::uint64_t offset, std::uint64_t bytes) override {
        const std::lock_guard lock{mutex_};
        units_.erase(units_.lower_bound(offset), units_.lower_bound(offset + bytes));
        discarded_ += bytes;
    }
    [[nodiscard]] std::size_t units() {
        const std::lock_guard lock{mutex_};
        return units_.size();
    }
    [[nodiscard]] std::uint64_t discarded() {
        const std::lock_guard lock{mutex_};
        return discarded_;
    }

private:
    std::mutex mutex_;
    std::map<std::uint64_t, std::vector<std::byte>> units_;
    std::uint64_t discarded_ = 0;
};

/// A store in one array. It neither allocates nor locks.
class ArrayStore final : public Store {
public:
    [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) override {
        std::memcpy(into.data(), bytes_.data() + offset, into.size());
        return 0;
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        std::memcpy(bytes_.data() + offset, from.data(), from.size());
        return 0;
    }
    [[nodiscard]] bool is_signal_safe() const noexcept override { return true; }

private:
    std::vector<std::byte> bytes_ = std::vector<std::byte>(std::size_t{64} << 20);
};

class KeepsPointers final : public MapStore {  // copies what was written only when the next write comes
public:
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        if (!last_.empty()) static_cast<void>(MapStore::write(last_offset_, last_));
        last_offset_ = offset;
        last_ = from;
        return 0;
    }
    [[nodiscard]] unsigned concurrency() const noexcept override { return 1; }

private:
    std::uint64_t last_offset_ = 0;
    std::span<const std::byte> last_;
};

class LosesWrites final : public MapStore {
public:
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        if (++writes_ % 50 == 0) return 0;
        return MapStore::write(offset, from);
    }

private:
    std::atomic<int> writes_{0};
};

class FlipsBits final : public MapStore {
public:
    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) override {
        const int error = MapStore::read(offset, into);
        if (++reads_ % 50 == 0) into[into.size() / 2] ^= std::byte{4};
        return error;
    }

private:
    std::atomic<int> reads_{0};
};

class Throws final : public MapStore {
public:
    [[nodiscard]] int read(std::uint64_t, std::span<std::byte>) override { throw std::runtime_error{"no such shelf"}; }
};

class EndsEarly final : public MapStore {  // its last 4 KiB are not there
public:
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        return offset + from.size() > size() - kUnit ? ENOSPC : MapStore::write(offset, from);
    }
};

class Sized final : public MapStore {
public:
    explicit Sized(std::uint64_t bytes) : bytes_{bytes} {}
    [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_; }

private:
    std::uint64_t bytes_;
};

class AsksForThreads final : public MapStore {
public:
    explicit AsksForThreads(unsigned threads) : threads_{threads} {}
    [[nodiscard]] unsigned concurrency() const noexcept override { return threads_; }

private:
    unsigned threads_;
};

TEST(CheckStore, FindsNothingInAMap) {
    EXPECT_THAT(check_store(std::make_shared<MapStore>(), with_printed_seed()), IsEmpty());
}
TEST(CheckStore, FindsNothingInASignalSafeArray) {
    EXPECT_THAT(check_store(std::make_shared<ArrayStore>(), with_printed_seed()), IsEmpty());
}
TEST(CheckStore, FindsBytesThatChangeAfterTheWrite) {
    EXPECT_THAT(check_store(std::make_shared<KeepsPointers>()), Contains(HasSubstr("not those that were written")));
}
TEST(CheckStore, FindsALostWrite) {
    EXPECT_THAT(check_store(std::make_shared<LosesWrites>()), Contains(HasSubstr("not those that were written")));
}
TEST(CheckStore, FindsAFlippedBit) {
    EXPECT_THAT(check_store(std::make_shared<FlipsBits>()), Contains(HasSubstr("not those that were written")));
}
TEST(CheckStore, FindsAnException) {
    EXPECT_THAT(check_store(std::make_shared<Throws>()), Contains(HasSubstr("no such shelf")));
}
TEST(CheckStore, FindsAStoreThatIsSmallerThanItSays) {
    EXPECT_THAT(check_store(std::make_shared<EndsEarly>()), Contains(HasSubstr("returns 28")));
}
TEST(CheckStore, FindsASizeAndANumberOfThreadsOutOfBounds) {
    EXPECT_THAT(check_store(std::make_shared<Sized>(Store::kSmallest - 1)), Contains(HasSubstr("size returns")));
    EXPECT_THAT(check_store(std::make_shared<AsksForThreads>(0U)), Contains(HasSubstr("concurrency returns 0")));
    EXPECT_THAT(check_store(std::make_shared<AsksForThreads>(65U)), Contains(HasSubstr("concurrency returns 65")));
}

class PagerOverAStore : public testing::TestWithParam<Delivery> {
protected:
    static Config config_over(std::shared_ptr<Store> store) {
        Config config;
        config.delivery = GetParam();
        config.store = std::move(store);
        return config;
    }
    static std::vector<std::string> storm(const Config& config) {
        conformance::Findings findings;
        conformance::check_in_pager(config, with_printed_seed(), findings);
        return findings.take();
    }
};

TEST_P(PagerOverAStore, HasAllPages) {
    EXPECT_THAT(storm(config_over(std::make_shared<MapStore>())), IsEmpty());
    EXPECT_THAT(storm(config_over(std::make_shared<ArrayStore>())), IsEmpty());
    EXPECT_THAT(storm(config_over(std::make_shared<AsksForThreads>(64U))), IsEmpty());
    Config config = config_over(std::make_shared<MapStore>());
    config.background_evictor = false;
    EXPECT_THAT(storm(config), IsEmpty());
}

TEST_P(PagerOverAStore, HasAllPagesWithMemoryForCompressedOnes) {
    Config config = config_over(std::make_shared<MapStore>());
    config.compressed_limit = std::size_t{1} << 20;
    EXPECT_THAT(storm(config), IsEmpty());
}

TEST_P(PagerOverAStore, NeverTakesWrongBytes) {
    for (const std::shared_ptr<Store>& store : {std::shared_ptr<Store>{std::make_shared<FlipsBits>()},
                                                std::shared_ptr<Store>{std::make_shared<LosesWrites>()},
                                                std::shared_ptr<Store>{std::make_shared<Throws>()}}) {
        const std::vector<std::string> findings = storm(config_over(store));
        EXPECT_THAT(findings, Not(IsEmpty()));
        EXPECT_THAT(findings, Each(Not(HasSubstr("wrong bytes"))));
        EXPECT_THAT(findings, Contains(HasSubstr("could not be")));
    }
}

TEST_P(PagerOverAStore, TellsItWhatIsNotNeededAnyMore) {
    const auto store = std::make_shared<MapStore>();
    {
        Config config = config_over(store);
        config.resident_limit = std::size_t{1} << 20;
        Pager pager{config};
        const Region region = pager.reserve(std::size_t{16} << 20);
        const std::span<std::uint64_t> words = region.as<std::uint64_t>();
        for (std::size_t i = 0; i < words.size(); i += kUnit / sizeof(std::uint64_t)) words[i] = i + 1;
    }
    EXPECT_GT(store->discarded(), std::uint64_t{8} << 20);
    EXPECT_EQ(store->units(), 0U) << "what is not discarded takes memory";
    EXPECT_EQ(store.use_count(), 1) << "the pager is gone";
}

TEST_P(PagerOverAStore, KeepsPagesInMemoryThatAFullStoreDoesNotTake) {
    Config config = config_over(std::make_shared<Sized>(Store::kSmallest));
    config.resident_limit = std::size_t{4} << 20;
    config.full_disk_patience = std::chrono::milliseconds{0};
    config.log = [](LogLevel, std::string_view) {};
    Pager pager{config};
    Region region = pager.reserve(std::size_t{64} << 20);
    std::size_t written = 0;
    try {
        for (; written < region.size(); written += kUnit) {
            const std::span<std::byte> page = region.bytes().subspan(written, kUnit);
            const Pin pin = region.pin(page);
            std::memcpy(page.data(), &written, sizeof written);
        }
        FAIL() << "64 MiB cannot be in 20 MiB";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC) << error.what();
    }
    EXPECT_GT(written, std::size_t{12} << 20);
    written -= std::size_t{1} << 20;
    region.discard(region.bytes().subspan(written, std::size_t{1} << 20));  // makes room in memory to read the others
    for (std::size_t offset = 0; offset < written; offset += kUnit) {
        const std::span<std::byte> page = region.bytes().subspan(offset, kUnit);
        const Pin pin = region.pin(page, PinFor::reading);
        std::size_t found = 0;
        std::memcpy(&found, page.data(), sizeof found);
        ASSERT_EQ(found, offset);
    }
}

INSTANTIATE_TEST_SUITE_P(All, PagerOverAStore,
                         testing::Values(Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& instance) { return std::string{to_string(instance.param)}; });

TEST(PagerOverAStoreRefuses, ASmallStoreTooManyThreadsAndForks) {
    const auto error_of = [](const Config& config) {
        try {
            const Pager pager{config};
            return std::string{};
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code().value(), EINVAL);
            return std::string{error.what()};
        }
    };
    Config config;
    config.store = std::make_shared<Sized>(Store::kSmallest - kUnit);
    EXPECT_THAT(error_of(config), HasSubstr("Config::store is too small"));
    config.store = std::make_shared<AsksForThreads>(0U);
    EXPECT_THAT(error_of(config), HasSubstr("Store::concurrency"));
    config.store = std::make_shared<MapStore>();
    config.fork = ForkPolicy::inherit;
    EXPECT_THAT(error_of(config), HasSubstr("ForkPolicy::refuse"));
}

}  // namespace
}  // namespace faultline::test
