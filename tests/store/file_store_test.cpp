// FileStore on a file with scripted results: it finishes short transfers, retries transient errors and reports others.
#include "store/file_store.hpp"
#include "store/scripted_file.hpp"
#include "store/sizes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::FileStore;

std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

class FileStoreTest : public testing::Test {
protected:
    static constexpr std::uint64_t kBase = 3 * kPage;    // offset of the store in the file
    static constexpr std::uint64_t kOffset = 2 * kPage;  // offset of the tested transfer in the store
    static constexpr std::size_t kBytes = 4 * kPage;
    static constexpr std::size_t kFileBytes = kBase + kOffset + kBytes + kPage;

    FileStoreTest() {
        RecordProperty("seed", std::to_string(kSeed));
        file_.contents = before_;
    }

    /// Returns the bytes of the file at the location of the transfer.
    [[nodiscard]] std::vector<std::byte> in_place() const {
        const auto first = file_.contents.begin() + static_cast<std::ptrdiff_t>(kBase + kOffset);
        return {first, first + static_cast<std::ptrdiff_t>(kBytes)};
    }

    int read(std::deque<long> script, long then = ScriptedFile::kAll) {
        file_.follow(std::move(script), then);
        return store_.read(kOffset, buffer_);
    }
    int write(std::deque<long> script, long then = ScriptedFile::kAll) {
        file_.follow(std::move(script), then);
        return store_.write(kOffset, buffer_);
    }

    /// Expects that reads and writes follow `script` and transfer exactly the requested bytes.
    void expect_finished(const std::deque<long>& script) {
        std::vector<std::byte> expected = before_;
        std::copy(buffer_.begin(), buffer_.end(), expected.begin() + static_cast<std::ptrdiff_t>(kBase + kOffset));
        EXPECT_EQ(write(script), 0);
        EXPECT_TRUE(file_.contents == expected) << "the bytes of the transfer, and no others, are in the file";
        buffer_.assign(kBytes, std::byte{0});
        EXPECT_EQ(read(script), 0);
        EXPECT_TRUE(buffer_ == in_place());
        EXPECT_TRUE(file_.contents == expected) << "reading changes nothing";
    }

    static constexpr std::uint64_t kSeed = 99;
    const std::vector<std::byte> before_ = random_bytes(kFileBytes, kSeed);
    ScriptedFile file_{kFileBytes};
    FileStore store_{file_, kBase};
    std::vector<std::byte> buffer_ = random_bytes(kBytes, kSeed + 1);
};

TEST_F(FileStoreTest, MovesBytesFromItsBaseOn) {
    expect_finished({});
    EXPECT_EQ(file_.transfers, 1U);
}

TEST_F(FileStoreTest, FinishesWhatTheFileLeavesShort) {
    expect_finished({1, 511, 512, 4096, 1});
    expect_finished({kBytes - 1, 1});
}

TEST_F(FileStoreTest, FinishesByteByByte) {
    expect_finished(std::deque<long>(kBytes, 1));
    EXPECT_EQ(file_.transfers, kBytes);
}

TEST_F(FileStoreTest, RepeatsInterruptionsWithoutEnd) {
    expect_finished(std::deque<long>(1000, -EINTR));
    expect_finished({-EINTR, 100, -EAGAIN, -EINTR, 1000, -EINTR});
}

TEST_F(FileStoreTest, WaitsOutWhatPassesByItself) {
    for (const long error : {EAGAIN, ENOMEM, EBUSY, ENOBUFS}) {
        expect_finished(std::deque<long>(20, -error));
        expect_finished({-error, 100, -error, -EINTR, 1000, -error});
    }
}

TEST_F(FileStoreTest, RepeatsADeviceErrorThatPasses) {
    expect_finished({-EIO});
    expect_finished({-EIO, -EIO, -EIO});
    expect_finished({-EIO, 1000, -EIO, -EINTR, -EIO});
}

TEST_F(FileStoreTest, ReportsADeviceErrorThatStays) {
    EXPECT_EQ(read({}, -EIO), EIO);
    EXPECT_GT(file_.transfers, 1U) << "tried again before giving up";
    EXPECT_LT(file_.transfers, 20U) << "gave up at last";
    EXPECT_EQ(write({}, -EIO), EIO);
    EXPECT_EQ(write({100, -EINTR}, -EIO), EIO);
    EXPECT_TRUE(std::equal(buffer_.begin(), buffer_.begin() + 100, in_place().begin()));
}

TEST_F(FileStoreTest, ReportsAFileThatEndsEarly) {
    EXPECT_EQ(read({0}), EIO);
    EXPECT_EQ(read({100, 0}), EIO);
    EXPECT_EQ(read({kBytes - 1, 0}), EIO);
    file_.contents.resize(kBase + kOffset + kBytes - 1);
    EXPECT_EQ(read({}), EIO);
}

TEST_F(FileStoreTest, ReportsAWriteThatMovesNothing) { EXPECT_EQ(write({100, 0}), EIO); }

TEST_F(FileStoreTest, ReportsOtherErrorsAtOnce) {
    for (int error : {ENOSPC, EFBIG, EBADF, EINVAL, EDQUOT, EROFS}) {
        EXPECT_EQ(write({-error}), error);
        EXPECT_EQ(file_.transfers, 1U);
        EXPECT_EQ(write({100, -EINTR, -error}), error);
        EXPECT_EQ(file_.transfers, 3U);
        EXPECT_EQ(read({-error}), error);
    }
}

TEST_F(FileStoreTest, NeedsNoTransferForNothing) {
    file_.follow({}, -EIO);
    EXPECT_EQ(store_.read(0, {}), 0);
    EXPECT_EQ(store_.write(0, {}), 0);
    EXPECT_EQ(file_.transfers, 0U);
}

TEST_F(FileStoreTest, DiscardsFromItsBaseOn) {
    store_.discard(kOffset, kBytes);
    ASSERT_EQ(file_.punched.size(), 1U);
    EXPECT_EQ(file_.punched.front().first, kBase + kOffset);
    EXPECT_EQ(file_.punched.front().second, kBytes);
}

TEST_F(FileStoreTest, SaysWhereItsBytesAre) {
    EXPECT_EQ(store_.extent().fd, -1) << "this file has no descriptor";
    EXPECT_EQ(store_.extent().offset, kBase);
}

TEST_F(FileStoreTest, SurvivesAnyMixOfShortAndInterruptedTransfers) {
    std::mt19937_64 random{kSeed + 2};
    for (int round = 0; round < 200; ++round) {
        SCOPED_TRACE(testing::Message() << "round " << round);
        std::deque<long> script;
        for (int step = 0; step < 50; ++step) {
            const auto kind = random() % 3;
            script.push_back(kind == 0 ? -EINTR : kind == 1 ? -EAGAIN : static_cast<long>(random() % 2000 + 1));
        }
        buffer_ = random_bytes(kBytes, random());
        expect_finished(script);
    }
}

}  // namespace
}  // namespace faultline::test
