// UffdMapper with kernel results that are not what they seem. Skipped where the kernel cannot move pages.
#include "mmu/uffd_mapper.hpp"

#include "core/units.hpp"
#include "mmu/uffd_mappers.hpp"
#include "support/accessed_bits.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <sys/ioctl.h>

#include <cstring>
#include <memory>
#include <system_error>

namespace faultline::test {
namespace {

constexpr std::size_t kPage = core::kUnitBytes;
constexpr std::size_t kNumberedPages = 8;

/// A region of numbered pages and a staging area, both watched.
struct Machine {
    Machine() : uffd{sys::Userfaultfd::Notify::by_sigbus}, mapper{uffd, dropper, true} {
        static_cast<void>(mmu::choose_uffd_eviction(uffd, Eviction::move));  // throws if the kernel does not move pages
        std::memset(region.data(), 0, region.size());
        for (std::size_t page = 0; page < kNumberedPages; ++page) write_number(page);
        mapper.watch_region(region.data(), region.size());
        uffd.watch(staging.data(), staging.size(), false);
    }
    void write_number(std::size_t page) const {
        const std::uint64_t number = page + 1;
        std::memcpy(region.data() + page * kPage, &number, sizeof number);
    }
    [[nodiscard]] static std::uint64_t number_at(const sys::Mapping& pages, std::size_t page) {
        std::uint64_t number = 0;
        std::memcpy(&number, pages.data() + page * kPage, sizeof number);
        return number;
    }

    sys::Userfaultfd uffd;
    mmu::PageDropper dropper;
    mmu::UffdMapper mapper;
    sys::Mapping region = sys::Mapping::reserve(kNumberedPages * kPage, kPage, false, "a region of the test");
    sys::Mapping staging = sys::Mapping::reserve(kNumberedPages * kPage, kPage, false, "a staging area of the test");
};

class UffdMapperMoves : public testing::Test {
protected:
    void SetUp() override {
        try {
            machine_ = std::make_unique<Machine>();
        } catch (const std::system_error& refused) {
            GTEST_SKIP() << refused.what();
        }
    }

    /// Moves pages behind the mapper's back: the kernel then looks as if it had moved them and reported an error.
    void move_unreported(std::byte* to, std::byte* from, std::size_t pages) const {
        sys::abi::UffdioMove request{core::address_of(to), core::address_of(from), pages * kPage, 0, 0};
        ASSERT_EQ(::ioctl(machine_->uffd.fd(), sys::abi::kUffdioMove, &request), 0);
    }

    std::unique_ptr<Machine> machine_;
};

TEST_F(UffdMapperMoves, StagedPagesKeepTheirBytesWhereTheKernelMovesThemUnreported) {
    Machine& machine = *machine_;
    move_unreported(machine.staging.data() + 2 * kPage, machine.region.data() + 2 * kPage, 3);
    const mmu::Staged staged = machine.mapper.stage(machine.region.data(), machine.staging.data(), kPage,
                                                    kNumberedPages, mmu::Protection::writable);
    EXPECT_EQ(staged.error, 0);
    ASSERT_EQ(staged.pages, kNumberedPages);
    for (std::size_t page = 0; page < kNumberedPages; ++page)
        EXPECT_EQ(Machine::number_at(machine.staging, page), page + 1);
}

TEST_F(UffdMapperMoves, UnstagedPageKeepsItsBytesWhereTheKernelMovesItUnreported) {
    Machine& machine = *machine_;
    ASSERT_EQ(
        machine.mapper.stage(machine.region.data(), machine.staging.data(), kPage, 1, mmu::Protection::writable).pages,
        1U);
    move_unreported(machine.region.data(), machine.staging.data(), 1);
    EXPECT_EQ(machine.mapper.unstage(machine.staging.data(), machine.region.data(), kPage, Access::read_write, true),
              0);
    EXPECT_EQ(Machine::number_at(machine.region, 0), 1U);
}

TEST_F(UffdMapperMoves, PagesKeepTheirBytesWhileAccessedBitsAreCleared) {
    const Machine& machine = *machine_;
    const AccessedBitsClearer in_region{machine.region.data(), machine.region.size()};
    const AccessedBitsClearer in_staging{machine.staging.data(), machine.staging.size()};
    mmu::UffdMapper& mapper = machine_->mapper;
    for (int round = 0; round < 20'000; ++round) {
        const mmu::Staged staged = mapper.stage(machine.region.data(), machine.staging.data(), kPage, kNumberedPages,
                                                mmu::Protection::writable);
        ASSERT_EQ(staged.error, 0) << "in round " << round;
        ASSERT_EQ(staged.pages, kNumberedPages) << "in round " << round;
        for (std::size_t page = 0; page < kNumberedPages; ++page) {
            ASSERT_EQ(Machine::number_at(machine.staging, page), page + 1) << "in round " << round;
            ASSERT_EQ(mapper.unstage(machine.staging.data() + page * kPage, machine.region.data() + page * kPage, kPage,
                                     Access::read_write, true),
                      0);
            ASSERT_EQ(Machine::number_at(machine.region, page), page + 1) << "in round " << round;
        }
    }
}

}  // namespace
}  // namespace faultline::test
