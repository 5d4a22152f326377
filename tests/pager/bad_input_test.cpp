// Invalid arguments are refused with the right code and a message that names the object, and nothing leaks afterwards.

#include "pager_fixture.hpp"
#include "support/process.hpp"
#include "swap_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace faultline::test {
namespace {

class BadInput : public VariantTest {
protected:
    static constexpr std::size_t kLimit = std::size_t{16} << 20;

    [[nodiscard]] Config config() const {
        Config config = config_for(GetParam(), kLimit);
        config.background_evictor = false;  // so that mappings can be counted
        return config;
    }
    template <typename Change>
    void expect_no_pager(Change change, int code, const std::string& part) const {
        Config changed = config();
        change(changed);
        expect_refused([&] { Pager pager{changed}; }, code, part);
    }
};

TEST_P(BadInput, PagerThatCannotBeMadeSaysWhy) {
    const SwapFolder folder;
    const std::filesystem::path file = folder.path() / "a_file";
    std::ofstream{file} << "keep me";
    const std::string missing = (folder.path() / "missing").string();

    expect_no_pager([](Config& c) { c.resident_limit = 0; }, EINVAL, "resident limit");
    expect_no_pager([](Config& c) { c.handler_threads = 100'000; }, EINVAL, "handler_threads");
    expect_no_pager([](Config& c) { c.full_disk_patience = std::chrono::milliseconds{-1}; }, EINVAL,
                    "full_disk_patience");
    expect_no_pager([&](Config& c) { c.swap_directory = missing; }, ENOENT, missing);
    expect_no_pager([&](Config& c) { c.swap_directory = file; }, ENOTDIR, file.string());
    expect_no_pager([&](Config& c) { c.swap_file = file; }, EEXIST, file.string());
    expect_no_pager([&](Config& c) { c.swap_file = missing + "/swap"; }, ENOENT, missing + "/swap");
    std::string kept;
    std::ifstream{file} >> kept;
    EXPECT_EQ(kept, "keep") << "a file that exists is not touched";
}

TEST_P(BadInput, DirectoryWithoutPermissionIsNamed) {
    if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
    const SwapFolder folder;
    ASSERT_EQ(::chmod(folder.path().c_str(), 0500), 0);
    expect_no_pager([&](Config& c) { c.swap_directory = folder.path(); }, EACCES, folder.path().string());
    expect_no_pager([&](Config& c) { c.swap_file = folder.path() / "swap"; }, EACCES, folder.path().string());
    ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
}

TEST_P(BadInput, NamedSwapFileExistsAsLongAsThePager) {
    const SwapFolder folder;
    Config named = config();
    named.swap_file = folder.path() / "swap";
    {
        Pager pager{named};
        Region region = pager.reserve(2 * kLimit);
        std::memset(region.data(), 3, region.size());
        EXPECT_EQ(region.data()[1], std::byte{3});
        EXPECT_GE(folder.bytes_on_disk(), kLimit) << "it swaps there and nowhere else";
    }
    EXPECT_TRUE(folder.empty());
}

TEST_P(BadInput, RegionThatCannotBeMadeSaysWhy) {
    Pager pager{config()};
    const auto reserve = [&](std::size_t bytes, std::size_t page_size = kBasePageBytes) {
        static_cast<void>(pager.reserve(bytes, {page_size}));
    };
    expect_refused([&] { reserve(0); }, EINVAL, "0 bytes");
    for (const std::size_t page_size : {std::size_t{0}, std::size_t{1}, std::size_t{2048}, std::size_t{4095},
                                        std::size_t{12288}, std::size_t{4} << 20}) {
        expect_refused([&] { reserve(kLimit, page_size); }, EINVAL, "page size of " + std::to_string(page_size));
    }
    expect_refused([&] { reserve(SIZE_MAX); }, ENOMEM, "cannot reserve");
    expect_refused([&] { reserve(std::size_t{1} << 47); }, ENOMEM, "cannot reserve");
    expect_refused([&] { reserve(std::size_t{1} << 46); }, ENOMEM, "page_size");
    Pager small{config_for(GetParam(), Pager::kMinimumPages * kBasePageBytes)};
    expect_refused([&] { static_cast<void>(small.reserve(1, {std::size_t{2} << 20})); }, EINVAL, "resident limit");
    Region region = pager.reserve(1);
    EXPECT_EQ(region.size(), kBasePageBytes) << "rounded up to whole pages";
}

TEST_P(BadInput, EveryCallRefusesRangesOutsideOrUnaligned) {
    Pager pager{config()};
    Region region = pager.reserve(16 * kBasePageBytes);
    store_word(region.data(), 5);
    std::byte* const data = region.data();
    struct Range {
        std::byte* address;
        std::size_t bytes;
    };
    const Range outside[] = {{data - kBasePageBytes, kBasePageBytes},
                             {data, region.size() + kBasePageBytes},
                             {data + region.size(), kBasePageBytes},
                             {data + kBasePageBytes, SIZE_MAX - kBasePageBytes + 1},
                             {nullptr, kBasePageBytes}};
    const Range unaligned[] = {{data + 1, kBasePageBytes}, {data, 100}, {data + 8, kBasePageBytes - 8}};
    const auto expect_all_refused = [&](const Range& range, const std::string& part) {
        expect_refused([&] { region.discard(range.address, range.bytes); }, EINVAL, part);
        expect_refused([&] { region.protect(range.address, range.bytes, Access::read); }, EINVAL, part);
        expect_refused([&] { region.retry(range.address, range.bytes); }, EINVAL, part);
    };
    for (const Range& range : outside) {
        expect_all_refused(range, "not inside the region");
        expect_refused([&] { static_cast<void>(region.pin(range.address, range.bytes)); }, EINVAL, "not inside");
        expect_refused([&] { region.advise(range.address, range.bytes, Advice::dontneed); }, EINVAL, "not inside");
    }
    for (const Range& range : unaligned) expect_all_refused(range, "page size");
    region.discard(data + region.size(), 0);  // empty ranges are valid, also at the end
    region.protect(data, 0, Access::none);
    region.retry(data, 0);
    region.advise(data, 0, Advice::willneed);
    EXPECT_EQ(load_word(data), 5U);
}

TEST_P(BadInput, EmptyHandlesRefuseCallsAndDoNotCrash) {
    Pager pager{config()};
    Region region = pager.reserve(kBasePageBytes);
    Region moved = std::move(region);
    Region never;
    for (Region* empty : {&region, &never}) {
        EXPECT_FALSE(*empty);
        EXPECT_EQ(empty->data(), nullptr);
        EXPECT_EQ(empty->size(), 0U);
        EXPECT_EQ(empty->page_size(), 0U);
        expect_refused([&] { empty->destroy(); }, EINVAL, "region");
        expect_refused([&] { empty->discard(nullptr, 0); }, EINVAL, "region");
        expect_refused([&] { empty->protect(nullptr, 0, Access::read); }, EINVAL, "region");
        expect_refused([&] { empty->advise(nullptr, 0, Advice::willneed); }, EINVAL, "region");
        expect_refused([&] { empty->retry(nullptr, 0); }, EINVAL, "region");
        expect_refused([&] { static_cast<void>(empty->pin(nullptr, 0)); }, EINVAL, "region");
        expect_refused([&] { static_cast<void>(empty->stats()); }, EINVAL, "region");
        expect_refused([&] { empty->residency({}); }, EINVAL, "region");
    }
    moved.destroy();
    expect_refused([&] { moved.destroy(); }, EINVAL, "empty");

    Pager owner = std::move(pager);
    expect_refused([&] { static_cast<void>(pager.reserve(1)); }, EINVAL, "pager");  // NOLINT: moved from on purpose
    expect_refused([&] { pager.set_resident_limit(kLimit); }, EINVAL, "pager");
    expect_refused([&] { static_cast<void>(pager.stats()); }, EINVAL, "pager");
    EXPECT_EQ(pager.resident_limit(), 0U);
    EXPECT_EQ(owner.resident_limit(), kLimit);
}

TEST_P(BadInput, AssigningARegionDeletesTheOneAssignedTo) {
    Pager pager{config()};
    Region region = pager.reserve(4 * kBasePageBytes);
    store_word(region.data(), 1);
    const std::size_t mapped = mappings();
    Region other = pager.reserve(8 * kBasePageBytes);
    store_word(other.data(), 2);
    region = std::move(other);
    EXPECT_EQ(region.size(), 8 * kBasePageBytes);
    EXPECT_EQ(load_word(region.data()), 2U);
    for (int i = 0; i < 20; ++i) region = pager.reserve(8 * kBasePageBytes);
    EXPECT_LE(mappings(), mapped + 10)
        << "each region has several mappings, which the kernel may merge with neighbours";
    store_word(region.data(), 2);
    Region& same = region;
    region = std::move(same);
    EXPECT_EQ(load_word(region.data()), 2U);
}

TEST_P(BadInput, LeaksNothing) {
    const SwapFolder folder;
    const auto fail_in_every_way = [&] {
        Pager pager{config()};
        Region region = pager.reserve(kBasePageBytes);
        for (const std::size_t bytes : {std::size_t{0}, std::size_t{1} << 46, std::size_t{1} << 47, SIZE_MAX}) {
            EXPECT_THROW(static_cast<void>(pager.reserve(bytes)), std::system_error);
        }
        EXPECT_THROW(static_cast<void>(region.pin(region.data(), 2 * kBasePageBytes)), std::system_error);
        EXPECT_THROW(pager.set_resident_limit(1), std::system_error);
        Config bad = config();
        bad.swap_directory = folder.path() / "missing";
        EXPECT_THROW(Pager{bad}, std::system_error);
        bad = config();
        bad.resident_limit = 1;
        EXPECT_THROW(Pager{bad}, std::system_error);
    };
    fail_in_every_way();  // makes what the process makes only once
    const std::size_t descriptors = open_descriptors();
    const std::size_t mapped = mappings();
    for (int i = 0; i < 20; ++i) fail_in_every_way();
    EXPECT_EQ(open_descriptors(), descriptors);
    // A sanitizer's run time maps and keeps memory for ended threads.
    if (!kSanitized) {
        EXPECT_LE(mappings(), mapped + 4);
    }
}

/// A region larger than the largest file of this file system is refused, and files opened for it are closed again.
TEST_P(BadInput, RegionTooLargeForTheFileSystemLeavesNoDescriptor) {
    Pager pager{config()};
    Region region = pager.reserve(kBasePageBytes);
    const std::size_t descriptors = open_descriptors();
    for (int i = 0; i < 3; ++i) {
        try {
            Region huge = pager.reserve(std::size_t{1} << 46, {std::size_t{2} << 20});
            GTEST_SKIP() << "this file system takes 64 TiB";
        } catch (const std::system_error& error) {
            EXPECT_TRUE(error.code().value() == EFBIG || error.code().value() == ENOMEM) << error.what();
        }
        EXPECT_EQ(open_descriptors(), descriptors);
    }
    store_word(region.data(), 1);
    EXPECT_EQ(load_word(region.data()), 1U);
}

INSTANTIATE_TEST_SUITE_P(deliveries, BadInput,
                         ::testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                           Variant{Delivery::uffd_threads, Eviction::move}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
