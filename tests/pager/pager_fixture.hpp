// What the pager's tests share: a fixture that skips what is not permitted here, a watchdog, threads, patterns.
#pragma once

#include "support/run_threads.hpp"
#include "support/sanitizers.hpp"
#include "support/variants.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

namespace faultline::test {

/// Returns why a pager of this variant is not permitted here; empty if it is.
inline std::string why_not_permitted(const Variant& variant) {
    try {
        const Pager probe{config_for(variant, Pager::kMinimumPages * kBasePageBytes)};
        return {};
    } catch (const std::system_error& error) {
        if (may_be_skipped(error, variant.delivery)) return error.what();
        throw;
    }
}

/// A test over variants. Skipped if the delivery or the eviction is not permitted.
class VariantTest : public ::testing::TestWithParam<Variant> {
protected:
    void SetUp() override {
        const std::string reason = why_not_permitted(GetParam());
        if (!reason.empty()) GTEST_SKIP() << reason;
    }
};

/// Ends a test program that makes no progress, so that a hang does not look like a slow machine. It decides nothing
/// else.
class Watchdog {
public:
    explicit Watchdog(std::chrono::seconds patience = std::chrono::seconds{240})
        : thread_{[this, patience] { watch(patience); }} {}
    ~Watchdog() {
        {
            const std::lock_guard lock{mutex_};
            done_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

private:
    void watch(std::chrono::seconds patience) {
        std::unique_lock lock{mutex_};
        if (changed_.wait_for(lock, patience, [this] { return done_; })) return;
        std::fputs("watchdog: no progress, aborting\n", stderr);
        std::abort();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool done_ = false;
    std::thread thread_;
};

/// Returns a word that identifies a page and a version of it. Never 0.
inline std::uint64_t stamp(std::uint64_t page, std::uint64_t version = 0) {
    return (page + 1) * 0x9e37'79b9'7f4a'7c15U + version * 2 + 1;
}

inline std::uint64_t load_word(const std::byte* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}
inline void store_word(std::byte* at, std::uint64_t word) { std::memcpy(at, &word, sizeof word); }

/// Reads one byte with a load that the compiler cannot remove.
inline std::byte touch(const std::byte* at) { return *static_cast<const volatile std::byte*>(at); }

/// Writes a page's stamp at its begin and at its end.
inline void write_stamps(std::byte* page, std::size_t bytes, std::uint64_t value) {
    store_word(page, value);
    store_word(page + bytes - sizeof value, ~value);
}
inline bool has_stamps(const std::byte* page, std::size_t bytes, std::uint64_t value) {
    return load_word(page) == value && load_word(page + bytes - sizeof value) == ~value;
}
inline bool all_zeros(const std::byte* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (bytes[i] != std::byte{0}) return false;
    }
    return true;
}

/// Runs `call`, which must throw std::system_error with `code` and a message that contains `part`.
template <typename Call>
void expect_refused(Call call, int code, const std::string& part) {
    try {
        call();
        ADD_FAILURE() << "not refused; expected " << std::strerror(code) << " naming \"" << part << '"';
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), code) << error.what();
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
}

}  // namespace faultline::test
