/// @file
/// The part of the conformance suite that uses a real pager: threads read and write random pages of a region that is
/// larger than its memory, and compare each page with what it should hold. Included by policy.hpp and store.hpp.
#pragma once

#include <faultline/language.hpp>

#include <faultline/config.hpp>
#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace faultline {
inline namespace v0 {

/// How the conformance suite tests.
struct ConformanceOptions {
    std::uint64_t seed = 1;         ///< Of the random operations; the same seed gives the same operations.
    std::size_t steps = 100'000;    ///< Random operations on the object alone.
    std::size_t accesses = 20'000;  ///< Accesses to pages of a real pager, by all threads together. 0: no pager.
};

/// @cond
namespace conformance {

/// What is wrong: at most kMost lines. Thread-safe.
class Findings {
public:
    static constexpr std::size_t kMost = 10;

    void add(std::string finding) {
        const std::lock_guard lock{mutex_};
        if (lines_.size() < kMost) lines_.push_back(std::move(finding));
    }
    [[nodiscard]] bool empty() {
        const std::lock_guard lock{mutex_};
        return lines_.empty();
    }
    [[nodiscard]] bool full() {
        const std::lock_guard lock{mutex_};
        return lines_.size() == kMost;
    }
    [[nodiscard]] std::vector<std::string> take() {
        const std::lock_guard lock{mutex_};
        return std::move(lines_);
    }

private:
    std::mutex mutex_;
    std::vector<std::string> lines_;
};

/// Threads that each own every so many pages of a region. Pages are accessed under pins, so that a page which cannot be
/// read back is an exception here and no signal.
class Storm {
public:
    static constexpr std::size_t kPages = 4096;
    static constexpr std::size_t kResidentPages = 512;
    static constexpr unsigned kThreads = 4;

    Storm(const Config& config, const ConformanceOptions& options, Findings& findings)
        : options_{options},
          findings_{findings},
          pager_{config},
          region_{pager_.reserve(kPages * kBasePageBytes)},
          writes_(kPages, 0) {}

    void run() {
        std::vector<std::thread> threads;
        for (unsigned thread = 0; thread < kThreads; ++thread) {
            threads.emplace_back([this, thread] { access_pages(thread); });
        }
        for (std::thread& one : threads) one.join();
        for (std::size_t page = 0; page < kPages && !findings_.full(); ++page) access(page, false);
    }

private:
    static constexpr std::size_t kWords = kBasePageBytes / sizeof(std::uint64_t);

    /// A page that was written `writes` times holds these words.
    static std::uint64_t word(std::size_t page, std::uint64_t writes, std::size_t index) {
        if (writes == 0) return 0;
        const bool random = (page + index) % 4 == 0;  // the rest compresses
        return page << 32 ^ writes ^ (random ? (index + writes) * 0x9e3779b97f4a7c15U : 0);
    }

    void access_pages(unsigned thread) {
        std::mt19937_64 random{options_.seed + thread};
        for (std::size_t i = 0; i < options_.accesses / kThreads && !findings_.full(); ++i) {
            const std::size_t mine = random() % (kPages / kThreads);
            access(mine * kThreads + thread, random() % 2 == 0);
        }
    }

    void access(std::size_t page, bool write) {
        const std::span<std::byte> bytes = region_.bytes().subspan(page * kBasePageBytes, kBasePageBytes);
        try {
            const Pin pin = region_.pin(bytes, write ? PinFor::writing : PinFor::reading);
            const std::span words{reinterpret_cast<std::uint64_t*>(bytes.data()), kWords};
            check(page, words);
            if (!write) return;
            ++writes_[page];
            for (std::size_t i = 0; i < kWords; ++i) words[i] = word(page, writes_[page], i);
        } catch (const std::system_error& error) {
            findings_.add("in a pager: page " + std::to_string(page) + " could not be used: " + error.what());
        }
    }

    void check(std::size_t page, std::span<const std::uint64_t> words) {
        for (std::size_t i = 0; i < kWords; ++i) {
            if (words[i] == word(page, writes_[page], i)) continue;
            findings_.add("in a pager: page " + std::to_string(page) + " has wrong bytes at " + std::to_string(8 * i));
            return;
        }
    }

    const ConformanceOptions& options_;
    Findings& findings_;
    Pager pager_;
    Region region_;
    std::vector<std::uint64_t> writes_;  // by page; each is used by one thread
};

/// Runs a storm. Errors that the pager logs are findings.
inline void check_in_pager(Config config, const ConformanceOptions& options, Findings& findings) {
    if (options.accesses == 0) return;
    config.resident_limit = Storm::kResidentPages * kBasePageBytes;
    config.log = [&findings](LogLevel level, std::string_view message) {
        if (level == LogLevel::error) findings.add("in a pager: " + std::string{message});
    };
    try {
        Storm{config, options, findings}.run();
    } catch (const std::system_error& error) {
        findings.add(std::string{"a pager cannot be made: "} + error.what());
    }
}

}  // namespace conformance
/// @endcond

}  // namespace v0
}  // namespace faultline
