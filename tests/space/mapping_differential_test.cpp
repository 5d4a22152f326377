// Private file mappings of a space against the kernel's: the same random calls and accesses must show the same bytes
// and raise the same signals.
#include "space/space_fixture.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

namespace faultline::test {
namespace {

constexpr std::size_t kRangePages = 24;
constexpr std::size_t kFileBytes = 17 * kPage + 1234;

/// One of the two sides: a range of kRangePages pages, and calls on parts of it.
class Side {
public:
    virtual ~Side() = default;
    virtual void map_file(std::size_t page, std::size_t pages, int fd, std::uint64_t offset, Access access) = 0;
    virtual void map_zeros(std::size_t page, std::size_t pages, Access access) = 0;
    virtual void unmap(std::size_t page, std::size_t pages) = 0;
    /// Returns whether the call succeeded.
    virtual bool protect(std::size_t page, std::size_t pages, Access access) = 0;
    [[nodiscard]] std::byte* at(std::size_t offset) const { return begin_ + offset; }

protected:
    std::byte* begin_ = nullptr;
};

class KernelSide final : public Side {
public:
    KernelSide() {
        begin_ = static_cast<std::byte*>(
            ::mmap(nullptr, kRangePages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    }
    ~KernelSide() override { ::munmap(begin_, kRangePages * kPage); }
    KernelSide(const KernelSide&) = delete;
    KernelSide& operator=(const KernelSide&) = delete;

    void map_file(std::size_t page, std::size_t pages, int fd, std::uint64_t offset, Access access) override {
        map(page, pages, access, MAP_PRIVATE, fd, static_cast<off_t>(offset));
        mapped(page, pages, true);
    }
    void map_zeros(std::size_t page, std::size_t pages, Access access) override {
        map(page, pages, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mapped(page, pages, true);
    }
    /// An inaccessible mapping holds the addresses of unmapped pages. The test knows that those count as unmapped.
    void unmap(std::size_t page, std::size_t pages) override {
        map(page, pages, Access::none, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mapped(page, pages, false);
    }
    bool protect(std::size_t page, std::size_t pages, Access access) override {
        for (std::size_t i = page; i < page + pages; ++i) {
            if (!mapped_[i]) return false;
        }
        return ::mprotect(at(page * kPage), pages * kPage, bits(access)) == 0;
    }
    [[nodiscard]] bool is_mapped(std::size_t page) const { return mapped_[page]; }

private:
    static int bits(Access access) {
        return access == Access::none           ? PROT_NONE
               : access == Access::read         ? PROT_READ
               : access == Access::read_execute ? PROT_READ | PROT_EXEC
                                                : PROT_READ | PROT_WRITE;
    }
    void map(std::size_t page, std::size_t pages, Access access, int flags, int fd, off_t offset) {
        if (::mmap(at(page * kPage), pages * kPage, bits(access), flags | MAP_FIXED, fd, offset) == MAP_FAILED) {
            throw std::runtime_error("mmap");
        }
    }
    void mapped(std::size_t page, std::size_t pages, bool now) {
        for (std::size_t i = page; i < page + pages; ++i) mapped_[i] = now;
    }
    std::array<bool, kRangePages> mapped_{};
};

class SpaceSide final : public Side {
public:
    explicit SpaceSide(AddressSpace& space) : space_{space} {
        begin_ = space.map_anonymous(kRangePages * kPage);
        space.unmap(begin_, kRangePages * kPage);
    }
    void map_file(std::size_t page, std::size_t pages, int fd, std::uint64_t offset, Access access) override {
        space_.map_file(fd, offset, pages * kPage, {.access = access, .address = at(page * kPage), .replace = true});
    }
    void map_zeros(std::size_t page, std::size_t pages, Access access) override {
        space_.map_anonymous(pages * kPage, {.access = access, .address = at(page * kPage), .replace = true});
    }
    void unmap(std::size_t page, std::size_t pages) override { space_.unmap(at(page * kPage), pages * kPage); }
    bool protect(std::size_t page, std::size_t pages, Access access) override {
        try {
            space_.protect(at(page * kPage), pages * kPage, access);
            return true;
        } catch (const std::system_error& error) {
            if (error.code().value() != ENOMEM) throw;
            return false;
        }
    }

private:
    AddressSpace& space_;
};

class MappingDifferential : public SpaceTest {
protected:
    static constexpr int kSteps = 600;

    [[nodiscard]] Config config() const override { return config_for(GetParam(), 16 * kPage); }
};

TEST_P(MappingDifferential, ShowsTheSameBytesAndRaisesTheSameSignalsAsTheKernels) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t end) { return static_cast<std::size_t>(random() % end); };
    const PatternFile file{kFileBytes};
    const std::vector<std::byte> before = file.contents();
    AddressSpace space{pager()};
    KernelSide kernel;
    SpaceSide ours{space};
    std::array<bool, kRangePages> bad{};
    for (int step = 0; step < kSteps; ++step) {
        SCOPED_TRACE("step " + std::to_string(step));
        const std::size_t page = below(kRangePages);
        const std::size_t pages = below(std::min<std::size_t>(kRangePages - page, 6)) + 1;
        const Access access = static_cast<Access>(below(4));
        const std::uint64_t choice = below(100);
        if (choice < 16) std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(page), pages, false);
        if (choice < 8) {
            const std::uint64_t offset = below(kFileBytes / kPage + 2) * kPage;
            for (Side* side : {static_cast<Side*>(&kernel), static_cast<Side*>(&ours)}) {
                side->map_file(page, pages, file.fd(), offset, access);
            }
        } else if (choice < 12) {
            for (Side* side : {static_cast<Side*>(&kernel), static_cast<Side*>(&ours)}) {
                side->map_zeros(page, pages, access);
            }
        } else if (choice < 16) {
            kernel.unmap(page, pages);
            ours.unmap(page, pages);
        } else if (choice < 24) {
            ASSERT_EQ(ours.protect(page, pages, access), kernel.protect(page, pages, access));
        } else if (choice < 30) {
            if (kernel.is_mapped(page)) space.advise(ours.at(page * kPage), 1, Advice::dontneed);
        } else {
            const std::size_t offset = page * kPage + below(kPage);
            const auto value = static_cast<std::byte>(random());
            const bool write = below(2) == 0;
            const Caught expected =
                write ? FaultCatcher::write(kernel.at(offset), value) : FaultCatcher::read(kernel.at(offset));
            const Caught told =
                write ? FaultCatcher::write(ours.at(offset), value) : FaultCatcher::read(ours.at(offset));
            // Under `sigsegv` each access to an unreadable page raises SIGBUS, whatever the page's protection.
            const bool known_bad = told.signal == SIGBUS && bad[page] && GetParam().delivery == Delivery::sigsegv;
            if (known_bad && expected.signal == SIGSEGV) continue;
            if (told.signal == SIGBUS) bad[page] = true;
            ASSERT_EQ(told.signal, expected.signal) << "page " << page << (write ? " written" : " read");
            if (told.signal == SIGSEGV) {
                ASSERT_EQ(told.code, kernel.is_mapped(page) ? SEGV_ACCERR : SEGV_MAPERR);
                ASSERT_EQ(told.address, ours.at(offset));
            } else if (told.signal == 0) {
                // Compares the whole page, because a fault brings in the whole page.
                ASSERT_EQ(std::memcmp(ours.at(page * kPage), kernel.at(page * kPage), kPage), 0) << "page " << page;
            }
        }
    }
    EXPECT_EQ(file.contents(), before);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, MappingDifferential, ::testing::ValuesIn(deliveries_and_evictions()),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
