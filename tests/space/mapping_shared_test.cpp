// Shared file mappings: writes reach the file on sync, when a page is evicted, and when the mapping ends.
#include "space/space_fixture.hpp"

#include <cerrno>
#include <cstring>

namespace faultline::test {
namespace {

class MappingShared : public SpaceTest {
protected:
    static constexpr std::size_t kPages = 6;
    static constexpr std::size_t kFileBytes = kPages * kPage - 1000;

    [[nodiscard]] static MapOptions shared() { return {.shared = true}; }
    [[nodiscard]] std::byte byte_in_file(std::size_t offset) const { return file_.contents().at(offset); }

    PatternFile file_{kFileBytes};
};

TEST_P(MappingShared, ShowsTheFileAndWritesBackOnSync) {
    AddressSpace space{pager()};
    std::byte* const at = space.map_file(file_.fd(), 0, kPages * kPage, shared());
    EXPECT_TRUE(has_pattern(at, kFileBytes, 0));
    std::vector<std::byte> expected = file_.contents();
    at[5] = expected[5] = std::byte{1};
    at[3 * kPage + 7] = expected[3 * kPage + 7] = std::byte{2};
    space.sync(at, kPages * kPage);
    EXPECT_EQ(file_.contents(), expected);
    EXPECT_EQ(at[5], std::byte{1});
}

TEST_P(MappingShared, WritesBackWhenUnmappedInPartAndWhenTheSpaceIsDestroyed) {
    std::vector<std::byte> expected = file_.contents();
    {
        AddressSpace space{pager()};
        std::byte* const at = space.map_file(file_.fd(), 0, kPages * kPage, shared());
        for (std::size_t page = 0; page < kPages; ++page) at[page * kPage] = expected[page * kPage] = std::byte{77};
        space.unmap(at + kPage, 2 * kPage);
        EXPECT_EQ(byte_in_file(kPage), std::byte{77});
        EXPECT_EQ(byte_in_file(2 * kPage), std::byte{77});
        EXPECT_EQ(FaultCatcher::read(at + kPage).code, SEGV_MAPERR);
    }
    EXPECT_EQ(file_.contents(), expected);
}

TEST_P(MappingShared, WritesBackEvictedPagesAndReadsThemAgain) {
    pager().set_resident_limit(16 * kPage);
    const PatternFile large{64 * kPage};
    AddressSpace space{pager()};
    std::byte* const at = space.map_file(large.fd(), 0, 64 * kPage, shared());
    std::byte* const private_pages = space.map_anonymous(64 * kPage);
    for (std::size_t page = 0; page < 64; ++page) {
        store_word(at + page * kPage + 16, stamp(page));
        store_word(private_pages + page * kPage, stamp(page, 1));
    }
    for (std::size_t page = 0; page < 64; ++page) {
        EXPECT_EQ(load_word(at + page * kPage + 16), stamp(page));
        EXPECT_TRUE(has_pattern(at + page * kPage + 24, kPage - 24, page * kPage + 24));
        EXPECT_EQ(load_word(private_pages + page * kPage), stamp(page, 1));
    }
    space.sync(at, 64 * kPage);
    const std::vector<std::byte> contents = large.contents();
    ASSERT_EQ(contents.size(), 64 * kPage);
    for (std::size_t page = 0; page < 64; ++page) {
        EXPECT_EQ(load_word(contents.data() + page * kPage + 16), stamp(page));
    }
}

TEST_P(MappingShared, APageThatBecomesZerosIsZerosInTheFile) {
    AddressSpace space{pager()};
    std::byte* const at = space.map_file(file_.fd(), 0, kPages * kPage, shared());
    std::vector<std::byte> expected = file_.contents();
    std::memset(at + kPage, 0, kPage);
    std::memset(expected.data() + kPage, 0, kPage);
    space.sync(at, kPages * kPage);
    EXPECT_EQ(file_.contents(), expected);
    at[kPage] = expected[kPage] = std::byte{3};
    space.sync(at, kPages * kPage);
    EXPECT_EQ(file_.contents(), expected);
}

TEST_P(MappingShared, TheFileKeepsItsLengthAndWritesBeyondItAreDropped) {
    AddressSpace space{pager()};
    std::byte* const at = space.map_file(file_.fd(), 0, (kPages + 1) * kPage, shared());
    EXPECT_TRUE(all_zeros(at + kFileBytes, kPages * kPage - kFileBytes));
    at[kPages * kPage - 1] = std::byte{9};
    at[kFileBytes - 1] = std::byte{8};
    EXPECT_EQ(FaultCatcher::write(at + kPages * kPage).signal, SIGBUS);
    space.unmap(at, kPages * kPage);
    EXPECT_EQ(file_.contents().size(), kFileBytes);
    EXPECT_EQ(byte_in_file(kFileBytes - 1), std::byte{8});
}

TEST_P(MappingShared, PrivateMappingsOfTheFileDoNotChange) {
    AddressSpace space{pager()};
    std::byte* const mine = space.map_file(file_.fd(), 0, 2 * kPage);
    std::byte* const ours = space.map_file(file_.fd(), 0, 2 * kPage, shared());
    mine[1] = std::byte{1};
    ours[1] = std::byte{2};
    space.advise(mine, 2 * kPage, Advice::dontneed);
    space.sync(ours, 2 * kPage);
    EXPECT_EQ(mine[1], std::byte{1});
    EXPECT_EQ(ours[1], std::byte{2});
    EXPECT_EQ(byte_in_file(1), std::byte{2});
    EXPECT_NE(space.maps().find("rw-s"), std::string::npos);
}

TEST_P(MappingShared, UnwritableFilesAndPinnedPagesAreRefused) {
    AddressSpace space{pager()};
    const int read_only = ::open(file_.path().c_str(), O_RDONLY | O_CLOEXEC);
    const int appending = ::open(file_.path().c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
    expect_refused([&] { space.map_file(read_only, 0, kPage, shared()); }, EACCES, "reading and writing");
    expect_refused([&] { space.map_file(appending, 0, kPage, shared()); }, EACCES, "appending");
    std::byte* const at = space.map_file(read_only, 0, kPage, {.access = Access::read, .shared = true});
    expect_refused([&] { space.protect(at, kPage, Access::read_write); }, EACCES, "reading and writing");
    EXPECT_TRUE(has_pattern(at, kPage, 0));
    expect_refused([&] { space.map_anonymous(kPage, shared()); }, EINVAL, "files only");
    ::close(read_only);
    ::close(appending);
    std::byte* const pinned = space.map_file(file_.fd(), 0, 2 * kPage, shared());
    const Pin pin = space.pin(pinned, kPage);
    pinned[0] = std::byte{200};
    expect_refused([&] { space.sync(pinned, 2 * kPage); }, EBUSY, "pinned");
    expect_refused([&] { space.unmap(pinned, 2 * kPage); }, EBUSY, "pinned");
    EXPECT_EQ(pinned[0], std::byte{200});
}

INSTANTIATE_TEST_SUITE_P(Deliveries, MappingShared, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
