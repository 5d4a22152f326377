// The fault path allocates nothing. This file replaces the C library's allocator in the whole test program and counts
// the calls that a thread makes while it accesses managed memory. Operator new calls malloc, so it is counted, too.

#include "traps/trap_support.hpp"

#include <atomic>
#include <cstdlib>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)

namespace {

thread_local bool inside_touch = false;
std::atomic<std::size_t> allocations_inside{0};

void count_if_inside() noexcept {
    if (inside_touch) allocations_inside.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
void __libc_free(void* block);

void* malloc(std::size_t bytes) noexcept {
    count_if_inside();
    return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
    count_if_inside();
    return __libc_calloc(count, bytes);
}
void* realloc(void* block, std::size_t bytes) noexcept {
    count_if_inside();
    return __libc_realloc(block, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    count_if_inside();
    return __libc_memalign(alignment, bytes);
}
void free(void* block) noexcept {
    count_if_inside();
    __libc_free(block);
}

}  // extern "C"

namespace faultline::test {
namespace {

/// Reads the word at `at`, adds 1 to it if `write`, and counts allocations meanwhile. Returns the word read.
std::uint64_t watched_touch(std::byte* at, bool write) {
    inside_touch = true;
    const std::uint64_t value = read_word(at);
    if (write) write_word(at, value + 1);
    inside_touch = false;
    return value;
}

class Allocation : public TrapMatrix {};

TEST_P(Allocation, CounterCountsMallocAndFree) {
    allocations_inside.store(0);
    inside_touch = true;
    void* volatile block = std::malloc(1);
    std::free(block);
    inside_touch = false;
    EXPECT_EQ(allocations_inside.load(), 2U);
}

TEST_P(Allocation, FaultsReclaimAndWriteBackAllocateNothing) {
    constexpr std::size_t kPages = 64;
    constexpr unsigned kThreads = 3;
    Config config = config_with(10);
    config.background_evictor = false;  // the faulting thread does everything
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    allocations_inside.store(0);
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    std::array<std::array<std::uint64_t, kPages>, kThreads> written{};
    std::atomic<std::size_t> wrong{0};
    run_threads(kThreads, [&](unsigned index) {
        Random random{seed() + index};
        for (int i = 0; i < 2500; ++i) {
            const std::uint64_t page = random.below(kPages);
            const bool write = random.below(2) == 0;
            std::byte* const at = region.data() + page * region.page_size() + 8 * index;
            if (watched_touch(at, write) != written[index][page]) ++wrong;
            if (write) ++written[index][page];
        }
    });
    EXPECT_EQ(allocations_inside.load(), 0U);
    EXPECT_EQ(wrong.load(), 0U);
    const PagerStats stats = pager.stats();
    EXPECT_GT(stats.direct_reclaims, 0U);
    EXPECT_GT(stats.bytes_written, 0U);
    EXPECT_GT(stats.hard_faults, 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Allocation, testing::ValuesIn(variants_of(Delivery::uffd_signal)), VariantName{});
INSTANTIATE_TEST_SUITE_P(LargePages, Allocation, testing::ValuesIn(variants_of(Delivery::uffd_signal, 65536)),
                         VariantName{});

}  // namespace
}  // namespace faultline::test

#endif
