// Text, data and bss of an image come from their file; forbidden accesses are reported with their segment.
#include "space/space_fixture.hpp"

#include <atomic>
#include <cstring>
#include <thread>

namespace faultline::test {
namespace {

/// Text of four pages, data of two and a half, bss up to six pages. The file has more bytes after the data.
class SpaceImage : public SpaceTest {
protected:
    static constexpr std::size_t kTextBytes = 4 * kPage;
    static constexpr std::size_t kDataFileBytes = 2 * kPage + kPage / 2;
    static constexpr std::size_t kDataBytes = 6 * kPage;

    [[nodiscard]] std::vector<ImageSegment> image(Access text_access = Access::read_execute) const {
        return {{.name = "text",
                 .file = file_.path(),
                 .file_bytes = kTextBytes,
                 .memory_bytes = kTextBytes,
                 .access = text_access},
                {.name = "data",
                 .file = file_.path(),
                 .file_offset = kTextBytes,
                 .file_bytes = kDataFileBytes,
                 .address = kTextBytes,
                 .memory_bytes = kDataBytes,
                 .access = Access::read_write}};
    }
    PatternFile file_{8 * kPage};
};

TEST_P(SpaceImage, TextAndDataShowTheFileAndBssIsZeros) {
    AddressSpace space{pager(), image()};
    const std::byte* const text = space.image();
    EXPECT_TRUE(has_pattern(text, kTextBytes, 0));
    const std::byte* const data = text + kTextBytes;
    EXPECT_TRUE(has_pattern(data, kDataFileBytes, kTextBytes));
    EXPECT_TRUE(all_zeros(data + kDataFileBytes, kDataBytes - kDataFileBytes));
}

TEST_P(SpaceImage, OnlyTouchedPagesComeIn) {
    AddressSpace space{pager(), image()};
    EXPECT_EQ(pager().stats().resident_bytes, 0U);
    const Pin pin = space.pin(space.image() + 3 * kPage, 1, PinFor::reading);
    EXPECT_EQ(pager().stats().resident_bytes, kPage);
}

TEST_P(SpaceImage, TextIsDroppedWithoutAWrite) {
    AddressSpace space{pager(), image()};
    for (std::size_t page = 0; page < 4; ++page) static_cast<void>(touch(space.image() + page * kPage));
    space.advise(space.image(), kTextBytes, Advice::dontneed);
    const PagerStats stats = pager().stats();
    EXPECT_EQ(stats.resident_bytes, 0U);
    EXPECT_EQ(stats.bytes_written, 0U);
    EXPECT_TRUE(has_pattern(space.image(), kTextBytes, 0));
}

TEST_P(SpaceImage, WritesToDataGoToSwapAndNeverToTheFile) {
    const std::vector<std::byte> before = file_.contents();
    AddressSpace space{pager(), image()};
    std::byte* const data = space.image() + kTextBytes;
    for (std::size_t page = 0; page < 6; ++page) store_word(data + page * kPage + 8, stamp(page));
    space.advise(data, kDataBytes, Advice::dontneed);
    EXPECT_GT(pager().stats().bytes_written, 0U);
    for (std::size_t page = 0; page < 6; ++page) {
        EXPECT_EQ(load_word(data + page * kPage + 8), stamp(page));
        if (page >= 2) continue;
        EXPECT_TRUE(has_pattern(data + page * kPage + 16, kPage - 16, kTextBytes + page * kPage + 16));
    }
    EXPECT_EQ(file_.contents(), before);
}

TEST_P(SpaceImage, APageThatBecomesZerosStaysZeros) {
    AddressSpace space{pager(), image()};
    std::byte* const data = space.image() + kTextBytes;
    std::memset(data, 0, kPage);
    space.advise(data, kPage, Advice::dontneed);
    EXPECT_TRUE(all_zeros(data, kPage));
}

TEST_P(SpaceImage, CodeInTextRuns) {
    std::vector<std::byte> code(2 * kPage);
    // mov eax, 42; ret
    const unsigned char instructions[] = {0xb8, 42, 0, 0, 0, 0xc3};
    std::memcpy(code.data() + kPage + 128, instructions, sizeof instructions);
    const PatternFile file{code};
    const ImageSegment text{.name = "text", .file = file.path(), .file_bytes = 2 * kPage, .memory_bytes = 2 * kPage};
    AddressSpace space{pager(), std::span{&text, 1}};
    const auto entry = reinterpret_cast<std::uintptr_t>(space.image() + kPage + 128);
    EXPECT_EQ(reinterpret_cast<int (*)()>(entry)(), 42);
    space.advise(space.image(), 2 * kPage, Advice::dontneed);
    static_cast<void>(touch(space.image() + kPage));  // comes in by a read, and must still be executable
    EXPECT_EQ(reinterpret_cast<int (*)()>(entry)(), 42);
    space.protect(space.image(), 2 * kPage, Access::read);
    EXPECT_EQ(FaultCatcher::execute(space.image() + kPage + 128).code, SEGV_ACCERR);
    space.protect(space.image(), 2 * kPage, Access::read_execute);
    EXPECT_EQ(reinterpret_cast<int (*)()>(entry)(), 42);
}

struct Noted {
    AccessViolation violation;
    int calls = 0;
    ViolationAnswer answer = ViolationAnswer::deliver;
};
ViolationAnswer note(const AccessViolation& violation, void* context) {
    auto& noted = *static_cast<Noted*>(context);
    noted.violation = violation;
    ++noted.calls;
    return noted.answer;
}

TEST_P(SpaceImage, AForbiddenAccessIsReportedAndDeliveredLikeTheKernels) {
    AddressSpace space{pager(), image()};
    Noted noted;
    space.on_violation(&note, &noted);
    std::byte* const text = space.image();
    std::byte* const data = text + kTextBytes;
    for (const bool resident : {false, true}) {
        if (resident) static_cast<void>(touch(text + 5));
        if (resident) static_cast<void>(touch(data + 5));
        EXPECT_EQ(FaultCatcher::write(text + 5), (Caught{SIGSEGV, SEGV_ACCERR, text + 5}));
        EXPECT_STREQ(noted.violation.segment, "text");
        EXPECT_EQ(noted.violation.attempt, Attempt::write);
        EXPECT_EQ(noted.violation.kind, ViolationKind::forbidden);
        EXPECT_EQ(noted.violation.address, text + 5);
        EXPECT_EQ(noted.violation.allowed, Access::read_execute);

        EXPECT_EQ(FaultCatcher::execute(data + 5), (Caught{SIGSEGV, SEGV_ACCERR, data + 5}));
        EXPECT_STREQ(noted.violation.segment, "data");
        EXPECT_EQ(noted.violation.attempt, Attempt::execute);
    }
    space.protect(data, kPage, Access::none);
    EXPECT_EQ(FaultCatcher::read(data + 5), (Caught{SIGSEGV, SEGV_ACCERR, data + 5}));
    EXPECT_STREQ(noted.violation.segment, "data");
    EXPECT_EQ(noted.violation.attempt, Attempt::read);
    EXPECT_EQ(noted.calls, 5);
    EXPECT_TRUE(has_pattern(text, kTextBytes, 0));
}

TEST_P(SpaceImage, AnAddressOutsideSegmentsCountsAsUnmapped) {
    AddressSpace space{pager(), image()};
    Noted noted;
    space.on_violation(&note, &noted);
    std::byte* const gap = space.image() + kTextBytes + kDataBytes;
    EXPECT_EQ(FaultCatcher::read(gap), (Caught{SIGSEGV, SEGV_MAPERR, gap}));
    EXPECT_EQ(noted.violation.kind, ViolationKind::unmapped);
    EXPECT_STREQ(noted.violation.segment, "");
}

TEST_P(SpaceImage, TheStackGrowsAndAnAccessBelowItsLimitIsAnOverflow) {
    AddressSpace space{pager(), image()};
    Noted noted;
    space.on_violation(&note, &noted);
    for (std::byte* at = space.stack_end() - 8; at > space.stack_end() - 16 * kPage; at -= kPage) store_word(at, 7);
    EXPECT_EQ(FaultCatcher::write(space.stack_begin()), Caught{});
    std::byte* const below = space.stack_begin() - 1;
    EXPECT_EQ(FaultCatcher::write(below), (Caught{SIGSEGV, SEGV_MAPERR, below}));
    EXPECT_EQ(noted.violation.kind, ViolationKind::stack_overflow);
    EXPECT_STREQ(noted.violation.segment, "stack");
}

/// 0: idle; 1: the handler waits for the helper; 2: the helper is done.
std::atomic<int> repair{0};

TEST_P(SpaceImage, AHandlerCanHaveTheAccessRepeated) {
    const Watchdog watchdog;
    AddressSpace space{pager(), image()};
    std::byte* const data = space.image() + kTextBytes;
    space.protect(data, kPage, Access::read);
    repair = 0;
    // Signal handlers cannot call the space, so another thread makes this call.
    std::thread helper{[&] {
        repair.wait(0);
        space.protect(data, kPage, Access::read_write);
        repair = 2;
        repair.notify_one();
    }};
    space.on_violation(
        [](const AccessViolation&, void*) {
            repair = 1;
            repair.notify_one();
            repair.wait(1);
            return ViolationAnswer::retry;
        },
        nullptr);
    EXPECT_EQ(FaultCatcher::write(data, std::byte{9}), Caught{});
    helper.join();
    EXPECT_EQ(touch(data), std::byte{9});
}

TEST_P(SpaceImage, InvalidImagesAreRefused) {
    const auto refused = [&](ImageSegment part, int code, const char* why) {
        expect_refused([&] { AddressSpace space{pager(), std::span{&part, 1}}; }, code, why);
    };
    const ImageSegment good = image()[0];
    ImageSegment part = good;
    part.memory_bytes = 0;
    refused(part, EINVAL, "no bytes");
    part = good;
    part.file_bytes = part.memory_bytes + 1;
    refused(part, EINVAL, "more of it than memory");
    part = good;
    part.address = 8;
    refused(part, EINVAL, "modulo 4 KiB");
    part = good;
    part.memory_bytes += kPage;
    refused(part, EINVAL, "zeros after");
    part = good;
    part.file = file_.path().string() + ".none";
    refused(part, ENOENT, ".none");
    const std::vector<ImageSegment> twice{good, good};
    expect_refused([&] { AddressSpace space{pager(), twice}; }, EEXIST, "another one");
    EXPECT_EQ(pager().stats().frames_used, 0U);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, SpaceImage, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
