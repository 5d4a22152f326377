// MemoryCalls compared with the kernel: the same random system calls, valid and invalid, have the same results and
// leave the same bytes and protections.
#include "elf/memory_calls.hpp"

#include "space/space_fixture.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <string>

namespace faultline::test {
namespace {

using demo::elf::Arguments;
using demo::elf::MemoryCalls;

constexpr std::size_t kPages = 24;
constexpr std::uint64_t kAnyAddress = std::uint64_t{0x1800} << 32;  // the kernel places nothing here by itself

/// A system call on a range of kPages pages, whose address is added later.
struct Call {
    long number = 0;
    Arguments arguments{};  ///< The first is an offset from the range's begin.
    friend std::ostream& operator<<(std::ostream& out, const Call& call) {
        out << "call " << call.number << std::hex;
        for (const std::uint64_t argument : call.arguments) out << " 0x" << argument;
        return out << std::dec;
    }
};

class MemoryCallsTest : public ::testing::Test {
protected:
    MemoryCallsTest() : pager_{{.resident_limit = 16 * kPage}}, space_{pager_}, calls_{space_} {
        std::byte* const room = space_.map_anonymous(kPages * kPage);
        space_.unmap(room, kPages * kPage);
        ours_ = reinterpret_cast<std::uint64_t>(room);
    }
    ~MemoryCallsTest() override { ::munmap(reinterpret_cast<void*>(kAnyAddress), kPages * kPage); }

    long ours(const Call& call) { return relative(calls_.serve(call.number, at(call, ours_)), ours_); }
    static long kernels(const Call& call) {
        const auto [a, b, c, d, e, f] = at(call, kAnyAddress);
        const long result = ::syscall(call.number, a, b, c, d, e, f);
        return relative(result == -1 ? -errno : result, kAnyAddress);
    }
    /// Makes the call on both ranges, expects equal results, and returns the kernel's.
    long both(const Call& call) {
        const long theirs = kernels(call);
        EXPECT_EQ(ours(call), theirs) << call;
        return theirs;
    }
    void expect_same_memory() {
        for (std::size_t page = 0; page < kPages; ++page) {
            const auto look = [page](std::uint64_t base) {
                auto* const byte = reinterpret_cast<std::byte*>(base + page * kPage + 5);
                const Caught read = FaultCatcher::read(byte);
                const int value = read.signal == 0 ? static_cast<int>(*byte) : -1;
                return std::pair{read.signal, value};
            };
            EXPECT_EQ(look(ours_), look(kAnyAddress)) << "page " << page;
        }
    }
    /// Writes `value` to a page of both ranges. Expects that either both are writable or none is.
    void write_both(std::size_t page, std::byte value) {
        const auto write = [page, value](std::uint64_t base) {
            return FaultCatcher::write(reinterpret_cast<std::byte*>(base + page * kPage + 5), value).signal;
        };
        EXPECT_EQ(write(ours_), write(kAnyAddress)) << "page " << page;
    }

    [[nodiscard]] AddressSpace& space() { return space_; }
    [[nodiscard]] MemoryCalls& calls() { return calls_; }

private:
    static Arguments at(const Call& call, std::uint64_t base) {
        Arguments moved = call.arguments;
        moved[0] += base;
        return moved;
    }
    static long relative(long result, std::uint64_t base) {
        return result > 0 ? result - static_cast<long>(base) : result;
    }

    FaultCatcher probe_;
    Pager pager_;
    AddressSpace space_;
    MemoryCalls calls_;
    std::uint64_t ours_ = 0;
};

/// Makes random calls as programs make them; one in eight is invalid in one way.
class Caller {
public:
    Caller(std::uint64_t seed, int file, std::size_t file_pages)
        : random_{seed}, file_{file}, file_pages_{file_pages} {}

    Call next() {
        Call call = good();
        if (one_in(8)) spoil(call);
        return call;
    }
    std::size_t below(std::size_t limit) { return random_() % limit; }

private:
    bool one_in(unsigned many) { return random_() % many == 0; }
    std::uint64_t protection() {
        constexpr std::array<std::uint64_t, 5> kKinds{PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
                                                      PROT_READ | PROT_EXEC, PROT_WRITE};
        return kKinds.at(below(kKinds.size()));
    }
    Call good() {
        const std::uint64_t first = below(kPages);
        const std::uint64_t bytes = (1 + below(std::min<std::size_t>(kPages - first, 8))) * kPage - below(2) * 100;
        const std::uint64_t begin = first * kPage;
        switch (below(6)) {
            case 0:
                return {SYS_munmap, {begin, bytes}};
            case 1:
                return {SYS_mprotect, {begin, bytes, protection()}};
            case 2: {
                constexpr std::array<std::uint64_t, 5> kAdvices{MADV_DONTNEED, MADV_NORMAL, MADV_RANDOM,
                                                                MADV_SEQUENTIAL, MADV_COLD};
                return {SYS_madvise, {begin, bytes, kAdvices.at(below(kAdvices.size()))}};
            }
            case 3: {
                const std::uint64_t offset = below(file_pages_ - 8) * kPage;
                return {SYS_mmap, {begin, bytes, protection(), fixed() | MAP_PRIVATE, descriptor(), offset}};
            }
            case 4:
                return {SYS_msync, {begin, bytes, MS_ASYNC}};
            default:
                return {SYS_mmap,
                        {begin, bytes, protection(), fixed() | MAP_PRIVATE | MAP_ANONYMOUS, ~std::uint64_t{0}, 0}};
        }
    }
    std::uint64_t fixed() { return one_in(4) ? MAP_FIXED_NOREPLACE : MAP_FIXED; }
    [[nodiscard]] std::uint64_t descriptor() const { return static_cast<std::uint64_t>(file_); }

    void spoil(Call& call) {
        Arguments& arguments = call.arguments;
        const bool maps = call.number == SYS_mmap;
        switch (below(maps ? 6 : 4)) {
            case 0:
                arguments[0] += 1 + below(kPage - 1);
                break;
            case 1:
                arguments[1] = 0;
                break;
            case 2:  // a length beyond the address space
                arguments[1] =
                    call.number == SYS_madvise || call.number == SYS_msync ? ~std::uint64_t{0} : std::uint64_t{1} << 48;
                break;
            case 3:
                if (!maps && call.number != SYS_munmap) arguments[2] = 0x0f00'0000;
                if (maps) arguments[3] &= ~std::uint64_t{MAP_PRIVATE};
                break;
            case 4:
                arguments[5] += 512;
                break;
            default:
                arguments[3] &= ~std::uint64_t{MAP_ANONYMOUS};
                arguments[4] = 9999;
                break;
        }
    }

    std::mt19937_64 random_;
    int file_;
    std::size_t file_pages_;
};

TEST_F(MemoryCallsTest, CallsHaveTheKernelsResultsAndLeaveTheSameMemory) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    const PatternFile file{16 * kPage};
    Caller caller{seed, file.fd(), 16};
    for (int step = 0; step < 800; ++step) {
        both(caller.next());
        write_both(caller.below(kPages), static_cast<std::byte>(step));
        if (step % 16 == 15) expect_same_memory();
        if (HasFailure()) FAIL() << "step " << step;
    }
}

TEST_F(MemoryCallsTest, BreakMovesAsWithTheSystemCall) {
    const long begin = calls().serve(SYS_brk, {0});
    EXPECT_EQ(begin, reinterpret_cast<long>(space().heap_begin()));
    const auto from = static_cast<std::uint64_t>(begin);
    EXPECT_EQ(calls().serve(SYS_brk, {from + 4}), begin + 4);
    EXPECT_EQ(calls().serve(SYS_brk, {from - 1}), begin + 4);
    EXPECT_EQ(calls().serve(SYS_brk, {~std::uint64_t{0}}), begin + 4);
    EXPECT_EQ(calls().serve(SYS_brk, {from}), begin);
}

TEST_F(MemoryCallsTest, AddressWithoutMapFixedIsAHint) {
    const auto map = [&](std::uint64_t wish) {
        return static_cast<std::uint64_t>(
            calls().serve(SYS_mmap, {wish, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, ~std::uint64_t{0}, 0}));
    };
    const std::uint64_t first = map(0);
    EXPECT_EQ(map(first - 5 * kPage + 17), first - 5 * kPage);
    EXPECT_EQ(map(first), first - kPage);
    EXPECT_EQ(map(kPage), first - 2 * kPage);
}

TEST_F(MemoryCallsTest, SharedMappingWritesToTheFile) {
    const PatternFile file{2 * kPage};
    const auto fd = static_cast<std::uint64_t>(file.fd());
    const long at = calls().serve(SYS_mmap, {0, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0});
    ASSERT_GT(at, 0);
    reinterpret_cast<std::byte*>(at)[100] = std::byte{77};
    EXPECT_EQ(calls().serve(SYS_msync, {static_cast<std::uint64_t>(at), 2 * kPage, MS_SYNC}), 0);
    EXPECT_EQ(file.contents().at(100), std::byte{77});
}

TEST_F(MemoryCallsTest, UnsupportedCallsAreRefused) {
    constexpr std::uint64_t kAll = PROT_READ | PROT_WRITE | PROT_EXEC;
    constexpr std::uint64_t kNone = ~std::uint64_t{0};
    const auto heap = static_cast<std::uint64_t>(calls().serve(SYS_brk, {0}));
    ASSERT_GT(calls().serve(SYS_brk, {heap + kPage}), 0);
    const auto stack = reinterpret_cast<std::uint64_t>(space().stack_end()) - kPage;
    EXPECT_EQ(calls().serve(SYS_mmap, {0, kPage, kAll, MAP_PRIVATE | MAP_ANONYMOUS, kNone, 0}), -EACCES);
    EXPECT_EQ(calls().serve(SYS_mprotect, {stack, kPage, kAll}), -EACCES);
    EXPECT_EQ(calls().serve(SYS_munmap, {stack, kPage}), -EINVAL);
    EXPECT_EQ(calls().serve(SYS_munmap, {heap, kPage}), -EINVAL);
    EXPECT_EQ(
        calls().serve(SYS_mmap, {kAnyAddress, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, kNone, 0}),
        -ENOMEM);
    EXPECT_EQ(calls().serve(SYS_munmap, {kAnyAddress, kPage}), 0);
    EXPECT_EQ(calls().serve(SYS_mremap, {stack, kPage, kPage}), -ENOSYS);
    EXPECT_FALSE(MemoryCalls::serves(SYS_mremap));
}

}  // namespace
}  // namespace faultline::test
