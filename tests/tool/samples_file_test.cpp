// The reader of stack samples returns what the writer has written, and refuses everything else.
#include "tool/stacks/samples_file.hpp"
#include "trace/stacks/stack_file_format.hpp"
#include "trace/stacks/stack_file_writer.hpp"
#include "trace/trace_checksum.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace faultline::tool {
namespace {

using testing::HasSubstr;
using File = std::vector<unsigned char>;

constexpr unsigned kStackBytes = 640;

std::unique_ptr<trace::StackSample> sample_number(std::uint64_t number) {
    auto sample = std::make_unique<trace::StackSample>();
    sample->time = 1'000'000 + number;
    sample->thread = 77;
    sample->address = 0x7000'0000 + (number << 12);
    sample->address_before = number == 0 ? 0 : sample->address - 4096;
    sample->ticks = 500;
    sample->weight_ticks = 2000;
    sample->step_ticks = 2000;
    sample->evictions = 10 * number;
    sample->touched_units = 1000 + number;
    sample->resident_units = 64;
    sample->evictions_ago = static_cast<std::uint32_t>(number);
    sample->kind = trace::SampledKind::hard;
    sample->write = number % 2 != 0;
    sample->asked = false;
    sample->registers.fill(number);
    sample->stack_bytes = kStackBytes;
    for (std::size_t i = 0; i < kStackBytes; ++i) sample->stack[i] = static_cast<std::byte>(number + i % 16);
    return sample;
}

class SamplesFile : public testing::Test {
protected:
    static constexpr std::uint64_t kSamples = 20;
    static constexpr double kTick = 0.5;  // ns

    SamplesFile() : path_{testing::TempDir() + "faultline-samples-" + std::to_string(::getpid())} {
        std::filesystem::remove(path_);
    }
    ~SamplesFile() override { std::filesystem::remove(path_); }
    SamplesFile(const SamplesFile&) = delete;
    SamplesFile& operator=(const SamplesFile&) = delete;

    void write_session() const {
        trace::StackFileWriter writer{path_, {std::uint64_t{32} << 20, 0}};
        for (std::uint64_t i = 0; i < kSamples; ++i) writer.append(*sample_number(i), kTick);
        writer.write(trace::ProcessMaps{});
        writer.flush_samples();
        trace::FaultTotals totals;
        totals.faults[1] = 80;
        totals.ticks[1] = 40'000;
        totals.samples = kSamples;
        totals.lost = 3;
        writer.write(totals, std::chrono::nanoseconds{5'000'000}, kTick);
    }
    [[nodiscard]] File bytes() const {
        std::ifstream file{path_, std::ios::binary};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

    std::string path_;
};

/// Returns the offsets at which blocks begin, and the end.
std::set<std::size_t> boundaries(const File& file) {
    std::set<std::size_t> found{trace::kStackHeaderBytes};
    for (std::size_t at = trace::kStackHeaderBytes; at < file.size();) {
        at += trace::kBlockHeaderBytes + trace::load_little_endian(&file[at + 4], 4);
        found.insert(at);
    }
    return found;
}

void renew_checksums(File& file) {
    for (std::size_t at = trace::kStackHeaderBytes; at + trace::kBlockHeaderBytes <= file.size();) {
        const std::size_t stored = trace::load_little_endian(&file[at + 4], 4);
        if (stored > file.size() - at - trace::kBlockHeaderBytes) return;
        trace::TraceChecksum checksum;
        checksum.add(std::span{file}.subspan(at, trace::kChecksummedBlockHeaderBytes));
        checksum.add(std::span{file}.subspan(at + trace::kBlockHeaderBytes, stored));
        trace::store_little_endian(&file[at + trace::kChecksummedBlockHeaderBytes], checksum.value(), 8);
        at += trace::kBlockHeaderBytes + stored;
    }
}

TEST_F(SamplesFile, ReturnsWhatWasWritten) {
    write_session();
    const std::vector<RecordedSession> sessions = read_samples_file(path_);
    ASSERT_EQ(sessions.size(), 1U);
    const RecordedSession& session = sessions.front();
    EXPECT_EQ(session.pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(session.memory_limit, std::uint64_t{32} << 20);
    EXPECT_THAT(session.executable, HasSubstr("tool_tests"));
    EXPECT_EQ(session.lost, 3U);
    EXPECT_EQ(session.faults[1], 80U);
    EXPECT_EQ(session.nanoseconds[1], 20'000U);
    EXPECT_TRUE(std::any_of(session.maps.begin(), session.maps.end(), [](const trace::MappedPart& part) {
        return part.executable && part.path.find("tool_tests") != std::string::npos;
    }));
    ASSERT_EQ(session.samples.size(), kSamples);
    for (std::uint64_t i = 0; i < kSamples; ++i) {
        const RecordedSample& sample = session.samples[i];
        EXPECT_EQ(sample.time, 1'000'000 + i);
        EXPECT_EQ(sample.address, 0x7000'0000 + (i << 12));
        EXPECT_EQ(sample.took, 250U);
        EXPECT_EQ(sample.faults(), 4.0);
        EXPECT_EQ(sample.write, i % 2 != 0);
        EXPECT_EQ(sample.evictions_ago, i);
        EXPECT_EQ(sample.registers[trace::kRip], i);
        ASSERT_EQ(sample.stack.size(), kStackBytes);
        EXPECT_EQ(sample.stack[17], static_cast<unsigned char>(i + 1));
    }
}

TEST_F(SamplesFile, HoldsTheSessionsOfSeveralWriters) {
    trace::StackFileWriter::create(path_);
    write_session();
    write_session();
    EXPECT_EQ(read_samples_file(path_).size(), 2U);
    trace::StackFileWriter::create(path_);
    EXPECT_TRUE(read_samples_file(path_).empty()) << "a new recording empties the file";
}

TEST_F(SamplesFile, IsReadableForItsOwnerOnly) {
    write_session();
    struct stat file {};
    ASSERT_EQ(::stat(path_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777U, 0600U);
}

TEST_F(SamplesFile, IsRefusedIfItEndsInTheMiddleOfABlock) {
    write_session();
    const File whole = bytes();
    const std::set<std::size_t> ends = boundaries(whole);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const std::span cut{whole.data(), length};
        if (ends.contains(length)) {
            EXPECT_NO_THROW(static_cast<void>(read_samples(cut, "cut"))) << length;
        } else {
            EXPECT_THROW(static_cast<void>(read_samples(cut, "cut")), BadSamples) << length;
        }
    }
}

TEST_F(SamplesFile, IsRefusedIfAnyByteIsWrong) {
    write_session();
    const File whole = bytes();
    for (std::size_t at = 0; at < whole.size(); ++at) {
        if (at >= 12 && at < trace::kStackHeaderBytes) continue;  // nothing is there yet
        File wrong = whole;
        wrong[at] ^= 0x41U;
        EXPECT_THROW(static_cast<void>(read_samples(wrong, "wrong")), BadSamples) << at;
    }
}

TEST_F(SamplesFile, IsReadOrRefusedHoweverItsContentsLie) {
    write_session();
    const File whole = bytes();
    const unsigned seed = std::random_device{}();
    std::mt19937 random{seed};
    for (int round = 0; round < 3000; ++round) {
        File wrong = whole;
        for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
            wrong[trace::kStackHeaderBytes + random() % (wrong.size() - trace::kStackHeaderBytes)] =
                static_cast<unsigned char>(random());
        }
        renew_checksums(wrong);
        try {
            for (const RecordedSession& session : read_samples(wrong, "wrong")) {
                for (const RecordedSample& sample : session.samples) {
                    EXPECT_LE(sample.stack.size(), trace::kMostSampledStack) << "seed " << seed;
                }
            }
        } catch (const BadSamples&) {
            continue;
        }
    }
}

TEST_F(SamplesFile, SaysWhatIsWrong) {
    const auto message_for = [](const File& file) {
        try {
            static_cast<void>(read_samples(file, "some.file"));
        } catch (const BadSamples& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    EXPECT_EQ(message_for({}), "some.file is not a file of `faultline record`");
    EXPECT_EQ(message_for(File(100, 'x')), "some.file is not a file of `faultline record`");
    write_session();
    File newer = bytes();
    newer[8] = 2;
    EXPECT_THAT(message_for(newer), HasSubstr("has version 2; this command reads version 1"));
    File cut = bytes();
    cut.pop_back();
    EXPECT_THAT(message_for(cut), HasSubstr("ends in the middle of a block, at byte "));
    EXPECT_THROW(static_cast<void>(read_samples_file("/no/such/file")), std::system_error);
}

}  // namespace
}  // namespace faultline::tool
