// A space's brk against the kernel's: the same random calls and accesses, in a child that uses the real system call and
// in a space, must have the same results.
#include "space/space_fixture.hpp"
#include "support/child.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <random>
#include <span>
#include <sstream>

namespace faultline::test {
namespace {

constexpr std::size_t kRoom = 96 * kPage;  // from the heap's begin to the mapping above it

/// Returns the begin of this process's heap (field 47 of /proc/self/stat).
std::uintptr_t kernels_heap_begin() {
    std::ifstream stat{"/proc/self/stat"};
    std::string text{std::istreambuf_iterator<char>{stat}, {}};
    std::istringstream fields{text.substr(text.rfind(')') + 2)};  // from the third field on
    constexpr int kStartBrk = 47;
    std::string field;
    for (int i = 3; i <= kStartBrk; ++i) fields >> field;
    return std::stoul(field);
}

/// The result of one step: the break relative to the heap's begin, and the byte that was read.
struct Outcome {
    std::int64_t break_offset = 0;
    int byte = -1;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << "break at " << outcome.break_offset << ", byte " << outcome.byte;
}

struct Step {
    std::int64_t wanted;  // relative to the heap's begin
    std::uint64_t look;   // random: selects the byte to read and then change
};

void random_steps(std::uint64_t seed, std::span<Step> steps) {
    std::mt19937_64 random{seed};
    const auto up_to = [&](std::uint64_t most) { return static_cast<std::int64_t>(random() % (most + 1)); };
    for (Step& step : steps) {
        std::int64_t wanted = up_to(kRoom + 2 * kPage);
        if (random() % 3 == 0) wanted = wanted / static_cast<std::int64_t>(kPage) * static_cast<std::int64_t>(kPage);
        if (random() % 16 == 0) wanted = -up_to(3 * kPage);
        if (random() % 32 == 0) wanted = std::numeric_limits<std::int64_t>::max() - up_to(kPage);
        step = {wanted, random()};
    }
}

/// `move(offset)` moves the break and returns its new offset.
template <typename Move>
void run_steps(std::byte* begin, std::span<const Step> steps, Move move, std::span<Outcome> outcomes) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
        outcomes[i].break_offset = move(steps[i].wanted);
        const auto mapped = (static_cast<std::uint64_t>(outcomes[i].break_offset) + kPage - 1) / kPage * kPage;
        if (mapped == 0) continue;
        volatile std::byte* const at = begin + steps[i].look % mapped;
        outcomes[i].byte = static_cast<int>(*at);
        *at = static_cast<std::byte>(i % 255 + 1);
    }
}

/// Memory outside the heap that is shared with a child.
template <typename T>
class SharedArray {
public:
    explicit SharedArray(std::size_t count)
        : span_{static_cast<T*>(
                    ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
                count} {}
    ~SharedArray() { ::munmap(span_.data(), span_.size_bytes()); }
    SharedArray(const SharedArray&) = delete;
    SharedArray& operator=(const SharedArray&) = delete;
    [[nodiscard]] std::span<T> span() const noexcept { return span_; }

private:
    std::span<T> span_;
};

/// Runs the steps on the kernel's heap, in a child process. malloc uses that heap, so nothing here may allocate, and
/// the steps and results must be elsewhere.
[[noreturn]] void run_on_kernel(std::span<const Step> steps, std::span<Outcome> outcomes) {
    const std::uintptr_t begin = kernels_heap_begin();
    const auto brk = [](std::uintptr_t address) { return static_cast<std::uintptr_t>(::syscall(SYS_brk, address)); };
    void* const in_the_way = reinterpret_cast<void*>(begin + kRoom);
    if (brk(begin) != begin) ::_exit(3);
    if (::mmap(in_the_way, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != in_the_way) ::_exit(4);
    run_steps(
        reinterpret_cast<std::byte*>(begin), steps,
        [&](std::int64_t wanted) {
            return static_cast<std::int64_t>(brk(begin + static_cast<std::uintptr_t>(wanted)) - begin);
        },
        outcomes);
    ::_exit(0);
}

class BrkDifferential : public SpaceTest {
protected:
    static constexpr std::size_t kSteps = 400;
};

TEST_P(BrkDifferential, AgreesWithTheSystemCall) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    if (kernels_heap_begin() % kPage != 0) GTEST_SKIP() << "the kernel's heap begins within a page of data";
    const SharedArray<Step> steps{kSteps};
    random_steps(seed, steps.span());

    const SharedArray<Outcome> kernels{kSteps};
    const ChildEnd end = in_child([&]() -> int { run_on_kernel(steps.span(), kernels.span()); });
    ASSERT_TRUE(end.exited_with(0)) << end;

    AddressSpace space{pager()};
    std::byte* const begin = space.heap_begin();
    space.map_anonymous(kPage, {.access = Access::none, .address = begin + kRoom});
    const SharedArray<Outcome> ours{kSteps};
    run_steps(
        begin, steps.span(), [&](std::int64_t wanted) { return space.brk(begin + wanted) - begin; }, ours.span());
    for (std::size_t i = 0; i < kSteps; ++i) {
        ASSERT_EQ(ours.span()[i], kernels.span()[i])
            << "step " << i << ", brk(begin + " << steps.span()[i].wanted << ")";
    }
}

INSTANTIATE_TEST_SUITE_P(Deliveries, BrkDifferential, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
