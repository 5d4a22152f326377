// A trace reads back as it was written; a file that is not a complete trace is refused with a reason.
#include "replay/temporary_file.hpp"
#include "replay/trace_reader.hpp"
#include "support/child.hpp"
#include "trace/trace_writer.hpp"

#include <gmock/gmock.h>

#include <sys/resource.h>

#include <cerrno>
#include <cstdint>
#include <random>
#include <system_error>

namespace faultline::test {
namespace {

using bench::BadTrace;
using bench::PageReference;
using bench::read_trace;
using bench::Trace;
using bench::TraceReader;
using faultline::trace::kMostPages;
using faultline::trace::kTraceHeaderBytes;
using faultline::trace::TraceWriter;
using testing::HasSubstr;

class TraceFile : public testing::Test {
protected:
    void write(const std::vector<PageReference>& references, std::uint32_t page_bytes = 4096) const {
        TraceWriter writer{file_.path(), page_bytes};
        for (const PageReference& reference : references) writer.append(reference.page, reference.write);
        EXPECT_EQ(writer.records(), references.size());
        writer.finish();
    }

    /// Reads the file. Returns the message of the refusal, or "none" if it was accepted.
    [[nodiscard]] std::string complaint() const {
        try {
            static_cast<void>(read_trace(file_.path()));
        } catch (const BadTrace& refused) {
            EXPECT_THAT(refused.what(), HasSubstr(file_.path().string()));
            return refused.what();
        }
        return "none";
    }

    /// Writes a file with these bytes of records and a valid header for them.
    void write_records(const Bytes& records, std::uint64_t count) const {
        Bytes bytes(kTraceHeaderBytes);
        std::copy(faultline::trace::kTraceMagic.begin(), faultline::trace::kTraceMagic.end(), bytes.begin());
        faultline::trace::store_little_endian(&bytes[8], faultline::trace::kTraceVersion, 4);
        faultline::trace::store_little_endian(&bytes[12], 4096, 4);
        faultline::trace::store_little_endian(&bytes[16], count, 8);
        bench::TraceChecksum checksum;
        checksum.add(records);
        checksum.add(std::span{bytes}.first(32));
        faultline::trace::store_little_endian(&bytes[32], checksum.value(), 8);
        bytes.insert(bytes.end(), records.begin(), records.end());
        file_.write(bytes);
    }

    const std::vector<PageReference> few_{{7, false}, {8, true}, {8, false}, {1'000'000, true}, {3, false}};
    TemporaryFile file_;
};

TEST_F(TraceFile, WrittenTraceReadsBackUnchanged) {
    write(few_, 65536);
    const Trace trace = read_trace(file_.path());
    EXPECT_EQ(trace.page_bytes, 65536U);
    EXPECT_EQ(trace.references, few_);
}

TEST_F(TraceFile, EmptyTraceIsValid) {
    write({});
    EXPECT_TRUE(read_trace(file_.path()).references.empty());
}

TEST_F(TraceFile, LargestPageNumberReadsBack) {
    const std::vector<PageReference> far{{kMostPages - 1, true}, {0, false}, {kMostPages - 1, false}, {1, true}};
    write(far);
    EXPECT_EQ(read_trace(file_.path()).references, far);
}

TEST_F(TraceFile, TraceLargerThanOneBufferReadsBack) {
    constexpr std::uint64_t kSeed = 9;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    std::vector<PageReference> many;
    for (int i = 0; i < 100'000; ++i) many.push_back({random() >> (2 + random() % 60), random() % 2 == 0});
    write(many);
    ASSERT_GT(file_.read().size(), 2U << 16);
    EXPECT_EQ(read_trace(file_.path()).references, many);
}

TEST_F(TraceFile, FormatIsTheDocumentedOne) {
    write({{3, false}, {4, true}, {2, false}, {66, true}});
    const Bytes bytes = file_.read();
    ASSERT_EQ(bytes.size(), kTraceHeaderBytes + 5);
    const Bytes until_checksum{0x89, 'F',  'L', 'T', 'R', 'A', 'C', 'E', 3, 0, 0, 0,  //
                               0,    0x10, 0,   0,   4,   0,   0,   0,   0, 0, 0, 0,  //
                               0,    0,    0,   0,   0,   0,   0,   0};
    EXPECT_EQ(Bytes(bytes.begin(), bytes.begin() + 32), until_checksum);
    // The differences 3, 1, -2, 64 are 6, 2, 3, 128 in zigzag, and 12, 5, 6, 257 with the write bit appended.
    const Bytes checksum{0xad, 0xe5, 0x7f, 0xba, 0xc6, 0xb0, 0xcc, 0x1d};
    EXPECT_EQ(Bytes(bytes.begin() + 32, bytes.begin() + 40), checksum);
    // Differences 3, 1, -2, 64 are 6, 2, 3, 128 in zigzag; doubled, with the write bit: 12, 5, 6, 257.
    EXPECT_EQ(Bytes(bytes.begin() + 40, bytes.end()), (Bytes{12, 5, 6, 0x81, 2}));
}

TEST_F(TraceFile, HeaderHasTheNumberOfRecords) {
    write(few_);
    TraceReader reader{file_.path()};
    EXPECT_EQ(reader.records(), few_.size());
    EXPECT_EQ(reader.next(), few_[0]);
}

TEST_F(TraceFile, HeaderHasTheNumberOfLostReferences) {
    TraceWriter writer{file_.path(), 4096};
    writer.append(1, true);
    writer.finish((std::uint64_t{1} << 40) + 7);
    EXPECT_EQ(read_trace(file_.path()).lost, (std::uint64_t{1} << 40) + 7);
    EXPECT_EQ(read_trace(file_.path()).references.size(), 1U);
    write(few_);
    EXPECT_EQ(TraceReader{file_.path()}.lost(), 0U);
}

TEST_F(TraceFile, TruncatedFileIsRefusedWhereverItEnds) {
    write(few_);
    const Bytes whole = file_.read();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        file_.write(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
        const char* const reason = length == 0 ? "is empty" : length < kTraceHeaderBytes ? "in its header" : "cut off";
        EXPECT_THAT(complaint(), HasSubstr(reason)) << length << " bytes";
    }
}

TEST_F(TraceFile, FileWithAnyChangedBitIsRefused) {
    write(few_);
    const Bytes whole = file_.read();
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Bytes changed = whole;
        changed[bit / 8] = static_cast<unsigned char>(changed[bit / 8] ^ 1U << bit % 8);
        file_.write(changed);
        EXPECT_NE(complaint(), "none") << "bit " << bit;
    }
}

TEST_F(TraceFile, FileWithBytesAfterItsLastRecordIsRefused) {
    write(few_);
    Bytes bytes = file_.read();
    bytes.push_back(0);
    file_.write(bytes);
    EXPECT_THAT(complaint(),
                HasSubstr("bytes follow the last of 5 records, the first at byte " + std::to_string(bytes.size() - 1)));
}

TEST_F(TraceFile, FileOfAnotherKindIsRefused) {
    file_.write(Bytes(100, 'x'));
    EXPECT_THAT(complaint(), HasSubstr("no trace file"));
}

TEST_F(TraceFile, FileOfALaterVersionIsRefused) {
    write(few_);
    Bytes bytes = file_.read();
    for (const int version : {2, 4}) {
        bytes[8] = static_cast<unsigned char>(version);
        file_.write(bytes);
        EXPECT_THAT(complaint(), HasSubstr("version is " + std::to_string(version) + ", this program knows 3"));
    }
}

TEST_F(TraceFile, UnfinishedFileIsRefusedAsUnfinished) {
    {
        TraceWriter writer{file_.path(), 4096};
        writer.append(1, true);
    }
    EXPECT_THAT(complaint(), HasSubstr("never finished"));
}

TEST_F(TraceFile, RecordOfMoreThan64BitsIsRefused) {
    write_records(Bytes{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}, 1);
    EXPECT_THAT(complaint(), HasSubstr("more than 64 bits ends at byte 49"));
    write_records(Bytes(11, 0x80), 1);
    EXPECT_THAT(complaint(), HasSubstr("more than 64 bits"));
}

TEST_F(TraceFile, PageOutOfRangeIsRefused) {
    write_records(Bytes{12, 18}, 2);  // page 3, then page 3 - 5
    EXPECT_THAT(complaint(), HasSubstr("page number out of range ends at byte 41"));
}

TEST_F(TraceFile, MissingFileIsASystemError) {
    try {
        TraceReader reader{file_.path()};
        FAIL() << "opened a file that does not exist";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOENT);
        EXPECT_THAT(error.what(), HasSubstr(file_.path().string()));
    }
}

TEST_F(TraceFile, DirectoryIsASystemError) {
    EXPECT_THROW(TraceReader{testing::TempDir()}, std::system_error);
    EXPECT_THROW((TraceWriter{testing::TempDir(), 4096}), std::system_error);
}

TEST_F(TraceFile, FullDiskIsASystemError) {
    try {
        TraceWriter writer{"/dev/full", 4096};
        FAIL() << "wrote to a full disk";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC);
    }
}

TEST_F(TraceFile, FileSizeLimitIsASystemErrorAndNotASignal) {
    const ChildEnd end = in_child([this] {
        TraceWriter writer{file_.path(), 4096};
        const rlimit limit{kTraceHeaderBytes + 1, kTraceHeaderBytes + 1};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        for (std::uint64_t page = 0; page < 10; ++page) writer.append(page, true);
        try {
            writer.finish();
        } catch (const std::system_error& error) {
            return error.code().value() == EFBIG ? 0 : 2;
        }
        return 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_F(TraceFile, PageSizeThatIsNotAPowerOfTwoIsRefused) {
    EXPECT_THROW((TraceWriter{file_.path(), 3000}), std::invalid_argument);
    EXPECT_THROW((TraceWriter{file_.path(), 0}), std::invalid_argument);
}

TEST_F(TraceFile, PageNumberThatDoesNotFitIsRefused) {
    TraceWriter writer{file_.path(), 4096};
    EXPECT_THROW(writer.append(kMostPages, false), std::out_of_range);
    writer.append(kMostPages - 1, false);
    writer.finish();
    EXPECT_EQ(read_trace(file_.path()).references.size(), 1U);
}

}  // namespace
}  // namespace faultline::test
