#include "sys/full_transfer.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <deque>
#include <utility>

namespace faultline::sys {
namespace {

/// Plays the kernel: returns the given results in turn and checks that each call continues where the last one ended.
class Script {
public:
    explicit Script(std::deque<long> results) : results_{std::move(results)} {}
    long operator()(std::size_t done, std::size_t left) {
        EXPECT_EQ(done, done_);
        EXPECT_EQ(done + left, kBytes);
        if (results_.empty()) {
            ADD_FAILURE() << "a call too many";
            return -EBADF;
        }
        const long result = results_.front();
        results_.pop_front();
        if (result > 0) done_ += static_cast<std::size_t>(result);
        return result;
    }
    [[nodiscard]] bool ended() const { return results_.empty(); }

    static constexpr std::size_t kBytes = 4096;

private:
    std::deque<long> results_;
    std::size_t done_ = 0;
};

int transfer(std::deque<long> results, OutOfMemory out_of_memory = OutOfMemory::wait) {
    Script script{std::move(results)};
    const int error = transfer_all(
        "a scripted call", Script::kBytes, [&](std::size_t done, std::size_t left) { return script(done, left); },
        out_of_memory);
    EXPECT_TRUE(script.ended()) << "the transfer stopped early";
    return error;
}

TEST(FullTransfer, ContinuesAfterShortAndInterruptedCalls) {
    EXPECT_EQ(transfer({4096}), 0);
    EXPECT_EQ(transfer({1000, -EINTR, 3000, -EAGAIN, 96}), 0);
    EXPECT_EQ(transfer({-ENOMEM, -EBUSY, 4096}), 0);
}

TEST(FullTransfer, ReportsLackOfMemoryToACallerThatAsksForIt) {
    EXPECT_EQ(transfer({100, -ENOMEM}, OutOfMemory::report), ENOMEM);
    EXPECT_EQ(transfer({-EBUSY}, OutOfMemory::report), EBUSY);
    EXPECT_EQ(transfer({-EINTR, 4096}, OutOfMemory::report), 0);
}

TEST(FullTransfer, TriesADeviceErrorThreeTimesAgain) {
    EXPECT_EQ(transfer({-EIO, 1000, -EIO, -EIO, 3096}), 0);
    EXPECT_EQ(transfer({-EIO, 1000, -EIO, -EIO, -EIO}), EIO);
}

TEST(FullTransfer, OtherErrorsEndIt) {
    EXPECT_EQ(transfer({1000, -ENOSPC}), ENOSPC);
    EXPECT_EQ(transfer({-EBADF}), EBADF);
}

TEST(FullTransfer, TheEndOfTheFileIsAnErrorUnlessAskedFor) {
    EXPECT_EQ(transfer({1000, 0}), EIO);
    Script script{{1000, 0}};
    const Transferred result = transfer_to_end("a scripted call", Script::kBytes,
                                               [&](std::size_t done, std::size_t left) { return script(done, left); });
    EXPECT_EQ(result.bytes, 1000U);
    EXPECT_EQ(result.error, 0);
}

TEST(FullTransfer, AnErrorSaysHowFarTheTransferCame) {
    Script script{{1000, -ENOSPC}};
    const Transferred result = transfer_to_end("a scripted call", Script::kBytes,
                                               [&](std::size_t done, std::size_t left) { return script(done, left); });
    EXPECT_EQ(result.bytes, 1000U);
    EXPECT_EQ(result.error, ENOSPC);
}

}  // namespace
}  // namespace faultline::sys
