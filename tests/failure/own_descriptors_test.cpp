// Every descriptor that a pager opens is on the list of the library's own descriptors. The preloaded library uses the
// list to keep programs from closing them.
#include "sys/own_descriptors.hpp"
#include "failure/failure_support.hpp"

#include <dirent.h>

#include <cstdlib>
#include <filesystem>
#include <set>

namespace faultline::test {
namespace {

std::set<unsigned> open_descriptors() {
    std::set<unsigned> found;
    DIR* const folder = ::opendir("/proc/self/fd");
    while (const dirent* const entry = ::readdir(folder)) {
        if (entry->d_name[0] != '.') found.insert(static_cast<unsigned>(std::atoi(entry->d_name)));
    }
    found.erase(static_cast<unsigned>(::dirfd(folder)));
    ::closedir(folder);
    return found;
}

class OwnDescriptorsOfPager : public testing::TestWithParam<Delivery> {};

TEST_P(OwnDescriptorsOfPager, EveryDescriptorOfAPagerIsOnTheList) {
    Config config = small_config(GetParam());
    config.compressed_limit = std::size_t{256} << 10;
    try {
        const Pager first{config};  // opens what the process keeps, for all pagers
    } catch (const std::system_error& error) {
        if (error.code().value() == EPERM) GTEST_SKIP() << error.what();
        throw;
    }
    const std::set<unsigned> before = open_descriptors();
    const std::filesystem::path trace =
        std::filesystem::temp_directory_path() / ("faultline-trace-" + std::to_string(::getpid()));
    config.trace_file = trace;
    const std::filesystem::path stacks = trace.string() + ".stacks";
    if (GetParam() != Delivery::uffd_threads) config.stack_samples_file = stacks;
    try {
        Pager pager{config};
        Region region = pager.reserve(64 * kBasePageBytes);
        for (std::size_t i = 0; i < 64; ++i) region.data()[i * kBasePageBytes] = std::byte{1};
        std::set<unsigned> opened = open_descriptors();
        for (const unsigned fd : before) opened.erase(fd);
        EXPECT_FALSE(opened.empty());
        for (const unsigned fd : opened) {
            EXPECT_TRUE(sys::is_own_descriptor(fd))
                << fd << ": " << std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd));
        }
    } catch (const std::system_error& error) {
        std::filesystem::remove(trace);
        std::filesystem::remove(stacks);
        if (error.code().value() == EPERM) GTEST_SKIP() << error.what();
        throw;
    }
    std::filesystem::remove(trace);
    std::filesystem::remove(stacks);
    EXPECT_EQ(open_descriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, OwnDescriptorsOfPager,
                         testing::Values(Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& variant) { return std::string{to_string(variant.param)}; });

}  // namespace
}  // namespace faultline::test
