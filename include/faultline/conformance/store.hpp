/// @file
/// The conformance suite for stores. Included by conformance.hpp.
#pragma once

#include <faultline/language.hpp>

#include <faultline/conformance/storm.hpp>
#include <faultline/store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace faultline {
inline namespace v0 {

/// @cond
namespace conformance {

/// Makes random calls of a store within one range of bytes, as one thread, and compares what it reads with a model.
class StoreTrial {
public:
    /// The range begins at `begin` and has `units` units of 4 KiB. No other thread uses it.
    StoreTrial(Store& store, std::uint64_t begin, std::size_t units, std::uint64_t seed, Findings& findings)
        : store_{store}, begin_{begin}, units_{units}, random_{seed}, findings_{findings} {}

    void run(std::size_t steps) {
        for (std::size_t i = 0; i < steps && !failed_; ++i) {
            const std::uint64_t what = random_() % 8;
            what == 0 ? discard() : what < 4 ? write() : read();
        }
    }

private:
    static constexpr std::size_t kUnit = kBasePageBytes;
    static constexpr std::size_t kMostUnits = Store::kLargestTransfer / kUnit;
    static constexpr std::byte kGuard{0xa5};

    struct Units {
        std::size_t first;
        std::size_t count;
    };
    /// The first and the last units of the range are chosen more often than others: they may be those of the store.
    Units any_units() {
        const std::size_t count = random_() % 4 != 0 ? 1 : 1 + random_() % std::min(kMostUnits, units_);
        const std::uint64_t where = random_() % 8;
        return {where == 0 ? 0 : where == 1 ? units_ - count : random_() % (units_ - count + 1), count};
    }
    [[nodiscard]] std::uint64_t offset_of(std::size_t unit) const { return begin_ + unit * kUnit; }

    static void fill(std::span<std::byte> unit, std::uint64_t seed) {
        for (std::size_t i = 0; i < unit.size(); i += sizeof seed) {
            const std::uint64_t word = (seed + i) * 0x9e3779b97f4a7c15U;
            std::memcpy(unit.data() + i, &word, sizeof word);
        }
    }

    void write() {
        const Units units = any_units();
        const std::span<std::byte> bytes = std::span{to_write_}.first(units.count * kUnit);
        for (std::size_t i = 0; i < units.count; ++i) {
            const std::uint64_t seed = random_();
            fill(bytes.subspan(i * kUnit, kUnit), seed);
            written_[units.first + i] = seed;
        }
        const std::uint64_t offset = offset_of(units.first);
        if (!succeeds("write", offset, bytes.size(), [&] { return store_.write(offset, bytes); })) return;
        std::fill(bytes.begin(), bytes.end(), kGuard);  // the store must have its own copy
    }

    /// Reads units, among them some that were never written; these may have any bytes.
    void read() {
        const Units units = any_units();
        std::vector<std::byte> memory((units.count + 2) * kUnit, kGuard);
        const std::span<std::byte> bytes = std::span{memory}.subspan(kUnit, units.count * kUnit);
        const std::uint64_t offset = offset_of(units.first);
        if (!succeeds("read", offset, bytes.size(), [&] { return store_.read(offset, bytes); })) return;
        const auto is_guard = [](std::byte byte) { return byte == kGuard; };
        if (!std::all_of(memory.begin(), memory.begin() + kUnit, is_guard) ||
            !std::all_of(memory.end() - kUnit, memory.end(), is_guard)) {
            fail(call_text("read", offset, bytes.size()) + " changes bytes beside its buffer");
        }
        for (std::size_t i = 0; i < units.count; ++i) check(units.first + i, bytes.subspan(i * kUnit, kUnit));
    }

    void check(std::size_t unit, std::span<const std::byte> bytes) {
        const auto found = written_.find(unit);
        if (found == written_.end()) return;
        std::vector<std::byte> expected(kUnit);
        fill(expected, found->second);
        if (std::equal(bytes.begin(), bytes.end(), expected.begin())) return;
        fail("the 4 KiB at offset " + std::to_string(offset_of(unit)) + " are not those that were written");
    }

    void discard() {
        const Units units = any_units();
        const std::uint64_t offset = offset_of(units.first);
        if (!succeeds("discard", offset, units.count * kUnit, [&] {
                store_.discard(offset, units.count * kUnit);
                return 0;
            })) {
            return;
        }
        for (std::size_t i = 0; i < units.count; ++i) written_.erase(units.first + i);
    }

    template <typename Call>
    bool succeeds(const char* name, std::uint64_t offset, std::size_t bytes, Call call) {
        try {
            const int error = call();
            if (error == 0) return true;
            fail(call_text(name, offset, bytes) + " returns " + std::to_string(error));
        } catch (const std::exception& thrown) {
            fail(call_text(name, offset, bytes) + " throws: " + thrown.what());
        } catch (...) {
            fail(call_text(name, offset, bytes) + " throws");
        }
        return false;
    }
    static std::string call_text(const char* name, std::uint64_t offset, std::size_t bytes) {
        return std::string{name} + " of " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset);
    }
    void fail(std::string finding) {
        findings_.add(std::move(finding));
        failed_ = true;
    }

    Store& store_;
    std::uint64_t begin_;
    std::size_t units_;
    std::mt19937_64 random_;
    Findings& findings_;
    bool failed_ = false;
    std::vector<std::byte> to_write_ = std::vector<std::byte>(Store::kLargestTransfer);  // for all writes in turn
    std::map<std::size_t, std::uint64_t> written_;  // the seed of each unit that has bytes
};

/// As many threads as the store asks for, each in a part of its own at the begin or the end of the store.
inline void check_calls(Store& store, const ConformanceOptions& options, Findings& findings) {
    const unsigned threads = store.concurrency();
    const std::uint64_t units = store.size() / kBasePageBytes;
    const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(units / threads, 512));
    std::vector<std::thread> running;
    for (unsigned thread = 0; thread < threads; ++thread) {
        const std::uint64_t first = thread % 2 == 0 ? thread * part : units - thread * part;
        running.emplace_back([&, thread, first] {
            StoreTrial{store, first * kBasePageBytes, part, options.seed + thread, findings}.run(options.steps / 10 /
                                                                                                 threads);
        });
    }
    for (std::thread& one : running) one.join();
}

}  // namespace conformance
/// @endcond

/// Tests a store that nothing else uses; its contents are lost. Returns what is wrong, at most ten lines; empty if
/// nothing was found. A store that fails by design (it is full, or its server is away) has findings, too.
[[nodiscard]] inline std::vector<std::string> check_store(const std::shared_ptr<Store>& store,
                                                          const ConformanceOptions& options = {}) {
    if (store->size() < Store::kSmallest) {
        return {"size returns " + std::to_string(store->size()) + ": less than Store::kSmallest"};
    }
    if (store->concurrency() < 1 || store->concurrency() > 64) {
        return {"concurrency returns " + std::to_string(store->concurrency()) + ": it must be 1 to 64"};
    }
    conformance::Findings findings;
    conformance::check_calls(*store, options, findings);
    if (findings.empty()) {  // else a pager would tell nothing new
        Config config;
        config.store = store;
        conformance::check_in_pager(config, options, findings);
    }
    return findings.take();
}

}  // namespace v0
}  // namespace faultline
