// Recording faults: the trace contains the faults that happened.

#include "trace/fault_trace.hpp"
#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "support/child.hpp"
#include "swap_folder.hpp"

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

using trace::FaultTrace;

struct Reference {
    std::uint64_t page;
    bool write;
    friend bool operator==(const Reference&, const Reference&) = default;
    friend void PrintTo(const Reference& reference, std::ostream* out) {
        *out << reference.page << (reference.write ? " written" : " read");
    }
};

std::vector<unsigned char> contents(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// Returns the number of faults that a trace reports as missing.
std::uint64_t missing(const std::filesystem::path& path) {
    const std::vector<unsigned char> bytes = contents(path);
    EXPECT_GE(bytes.size(), trace::kTraceHeaderBytes);
    return bytes.size() < trace::kTraceHeaderBytes ? 0 : trace::load_little_endian(&bytes[24], 8);
}

/// Reads a trace in the format of docs/trace-format.md.
std::vector<Reference> references(const std::filesystem::path& path) {
    const std::vector<unsigned char> bytes = contents(path);
    std::vector<Reference> found;
    EXPECT_GE(bytes.size(), trace::kTraceHeaderBytes);
    if (bytes.size() < trace::kTraceHeaderBytes) return found;
    std::uint64_t page = 0;
    for (std::size_t at = trace::kTraceHeaderBytes; at < bytes.size();) {
        std::uint64_t code = 0;
        for (unsigned shift = 0;; shift += 7) {
            code |= std::uint64_t{bytes[at] & 0x7fU} << shift;
            if ((bytes[at++] & 0x80U) == 0) break;
        }
        page += static_cast<std::uint64_t>(trace::unzigzag(code >> 1));
        found.push_back({page, (code & 1) != 0});
    }
    EXPECT_EQ(trace::load_little_endian(&bytes[16], 8), found.size()) << "the file is not whole";
    return found;
}

class FaultTraces : public VariantTest {
protected:
    SwapFolder folder_;
    std::filesystem::path file_ = folder_.path() / "faults.trace";
};

TEST_P(FaultTraces, RecordFaultsInOrder) {
    constexpr std::uint64_t kPages = 64;
    std::vector<Reference> expected;
    {
        Config config = config_for(GetParam(), 2 * kPages * kBasePageBytes);
        config.read_ahead = false;
        config.trace_file = file_;
        Pager pager{config};
        Region region = pager.reserve(kPages * kBasePageBytes);
        const auto first = reinterpret_cast<std::uintptr_t>(region.data()) / kBasePageBytes;
        const auto at = [&](std::uint64_t page) { return region.data() + page * kBasePageBytes; };
        const auto expect = [&](std::uint64_t page, bool write) {
            expected.push_back({first + page, write});
            FakePager::settle();  // the page is resident before its fault has been counted
        };
        for (std::uint64_t i = 0; i < kPages; ++i) {
            const std::uint64_t page = i * 29 % kPages;
            store_word(at(page), stamp(page));  // a first touch
            expect(page, true);
            store_word(at(page), stamp(page));  // no fault
        }
        region.advise(region.data(), region.size(), Advice::dontneed);
        for (std::uint64_t page = 0; page < kPages; ++page) {
            EXPECT_EQ(load_word(at(page)), stamp(page));  // comes back writable, and leaves unchanged
            expect(page, false);
        }
        region.advise(region.data(), region.size(), Advice::dontneed);
        for (std::uint64_t page = 0; page < kPages; page += 3) {
            EXPECT_EQ(load_word(at(page)), stamp(page));  // comes back clean
            expect(page, false);
            if (page % 2 != 0) continue;
            store_word(at(page), 0);  // a first write to a clean page
            expect(page, true);
        }
    }
    EXPECT_EQ(references(file_), expected);
    EXPECT_EQ(missing(file_), 0U);
}

TEST_P(FaultTraces, RecordNoFaultOfAChildOfFork) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer knows no threads started after a fork";
#endif
    constexpr std::uint64_t kPages = 32;
    std::vector<Reference> expected;
    Config config = config_for(GetParam(), 2 * kPages * kBasePageBytes);
    config.read_ahead = false;
    config.fork = ForkPolicy::inherit;
    config.trace_file = file_;
    std::optional<Pager> pager{config};
    std::optional<Region> region{pager->reserve(kPages * kBasePageBytes)};
    const auto touch_first_time = [&](std::uint64_t page) {
        store_word(region->data() + page * kBasePageBytes, stamp(page));
        FakePager::settle();
    };
    const auto expect = [&](std::uint64_t page) {
        expected.push_back({reinterpret_cast<std::uintptr_t>(region->data()) / kBasePageBytes + page, true});
    };
    for (std::uint64_t page = 0; page < 4; ++page) {
        touch_first_time(page);
        expect(page);
    }
    const ChildEnd end = in_child([&] {
        for (std::uint64_t page = 8; page < kPages; ++page) touch_first_time(page);
        region.reset();
        pager.reset();  // the parent would write the rest here
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    touch_first_time(5);
    expect(5);
    region.reset();
    pager.reset();
    EXPECT_EQ(references(file_), expected);
}

TEST_P(FaultTraces, AreMadeOnlyOnRequest) {
    {
        Pager pager{config_for(GetParam(), 16 * kBasePageBytes)};
        Region region = pager.reserve(16 * kBasePageBytes);
        store_word(region.data(), 1);
    }
    EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_P(FaultTraces, AreRefusedByNameIfTheyCannotBeWritten) {
    Config config = config_for(GetParam(), 16 * kBasePageBytes);
    config.trace_file = folder_.path() / "no" / "faults.trace";
    expect_refused([&] { const Pager pager{config}; }, ENOENT, config.trace_file.string());
    config.trace_file = "/dev/full";
    expect_refused([&] { const Pager pager{config}; }, ENOSPC, "/dev/full");
}

INSTANTIATE_TEST_SUITE_P(deliveries, FaultTraces, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- the recorder itself

/// Limits the size of files while it lives. An attempt to exceed it must not raise SIGXFSZ.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
        const rlimit now{bytes, before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &now), 0);
    }
    ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

private:
    rlimit before_{};
};

class FaultRecorder : public ::testing::Test {
protected:
    static const std::byte* page(std::uintptr_t number) {
        return reinterpret_cast<const std::byte*>(number * kBasePageBytes);
    }
    FaultTrace::Log log() {
        return [this](LogLevel, std::string_view message) { said_ += message; };
    }

    SwapFolder folder_;
    std::filesystem::path file_ = folder_.path() / "faults.trace";
    std::string said_;
};

TEST_F(FaultRecorder, EndsTheTraceBeforeTheFirstFaultWithoutRoomAndCountsTheMissing) {
    constexpr int kLater = 2000;
    {
        FaultTrace trace{file_, log(), 4};  // not started: no thread takes records out
        for (std::uintptr_t number = 10; number < 20; ++number) trace.record(page(number), number % 2 == 0);
        trace.start();  // now there is room again
        for (int i = 0; i < kLater; ++i) {
            trace.record(page(99), false);
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(references(file_), (std::vector<Reference>{{10, true}, {11, false}, {12, true}, {13, false}}));
    EXPECT_EQ(missing(file_), 6U + kLater);
    EXPECT_NE(said_.find("ends after 4 faults: 2006 more were lost"), std::string::npos) << said_;
}

TEST_F(FaultRecorder, KeepsEveryFaultOfSeveralThreads) {
    constexpr std::uint64_t kEach = 5'000;
    {
        FaultTrace trace{file_, log()};
        trace.start();
        std::vector<std::thread> threads;
        for (std::uint64_t thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&trace, thread] {
                for (std::uint64_t i = 0; i < kEach; ++i) trace.record(page(thread * kEach + i), false);
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
    std::vector<std::uint64_t> next(4);
    const std::vector<Reference> found = references(file_);
    ASSERT_EQ(found.size(), 4 * kEach) << said_;
    for (const Reference& reference : found) {
        const std::uint64_t thread = reference.page / kEach;
        ASSERT_LT(thread, 4U);
        ASSERT_EQ(reference.page % kEach, next[thread]++) << "each thread's own in its order";
    }
}

TEST_F(FaultRecorder, EndsWhenTheFileTakesNoMoreAndSaysSo) {
    constexpr rlim_t kRoom = 100'000;  // bytes; a fault so far from the previous one takes more than two
    const FileSizeLimit limit{kRoom};
    {
        FaultTrace trace{file_, log()};
        for (std::uintptr_t number = 0; number < 60'000; ++number) trace.record(page(number << 20), false);
    }
    EXPECT_NE(said_.find("incomplete"), std::string::npos) << said_;
    EXPECT_NE(said_.find(file_.string()), std::string::npos) << said_;
    EXPECT_LE(std::filesystem::file_size(file_), kRoom);
}

TEST_F(FaultRecorder, EndsWhenTheDiskIsFullAndThePagerGoesOn) {
    // Under sigsegv managed memory is a file, too, and the limit would apply to it.
    const Variant variant{Delivery::uffd_signal};
    if (const std::string reason = why_not_permitted(variant); !reason.empty()) GTEST_SKIP() << reason;
    constexpr std::uint64_t kApart = std::uint64_t{1} << 20;  // pages; so far apart each fault takes four bytes
    constexpr std::uint64_t kPages = 64;
    constexpr rlim_t kRoom = 1000;     // bytes
    constexpr int kMostRounds = 2000;  // 64 KiB wait in memory before any are written
    std::atomic<int> complaints{0};
    Config config = config_for(variant, 4 * kPages * kBasePageBytes);
    config.read_ahead = false;
    config.trace_file = file_;
    config.log = [&](LogLevel level, std::string_view message) {
        if (level == LogLevel::error && message.find("recording stops") != message.npos) ++complaints;
    };
    {
        Pager pager{config};
        Region region = pager.reserve((kApart + kPages) * kBasePageBytes);
        const auto at = [&](std::uint64_t index) {
            return region.data() + (index / 2 + index % 2 * kApart) * kBasePageBytes;
        };
        const auto touch_all = [&](std::uint64_t version) {
            for (std::uint64_t i = 0; i < 2 * kPages; ++i) store_word(at(i), stamp(i, version));
        };
        const auto discard_all = [&] {
            region.discard(at(0), kPages * kBasePageBytes);
            region.discard(at(1), kPages * kBasePageBytes);
        };
        {
            const FileSizeLimit limit{kRoom};
            for (int round = 0; round < kMostRounds && complaints == 0; ++round) {
                touch_all(0);
                discard_all();
            }
        }
        EXPECT_EQ(complaints, 1);
        touch_all(1);
        region.advise(region.data(), region.size(), Advice::dontneed);
        for (std::uint64_t i = 0; i < 2 * kPages; ++i) EXPECT_EQ(load_word(at(i)), stamp(i, 1));
    }
    EXPECT_EQ(complaints, 1);
    EXPECT_LE(std::filesystem::file_size(file_), kRoom) << "went on when there was room again";
}

}  // namespace
}  // namespace faultline::test
