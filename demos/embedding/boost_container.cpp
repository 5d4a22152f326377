// docs/embedding.md: containers of Boost.Container that are larger than their memory limit: a flat_map, which is one
// large sorted block, and a stable_vector, which is many small blocks. Exits with 0 if every element is found
// unchanged.
#include <faultline/allocator.hpp>
#include <faultline/heap.hpp>
#include <faultline/literals.hpp>

#include <boost/container/flat_map.hpp>
#include <boost/container/stable_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <system_error>
#include <utility>

namespace {

using namespace faultline::literals;

constexpr std::uint64_t kCount = 500'000;

template <typename Key, typename Value>
using FlatMap = boost::container::flat_map<Key, Value, std::less<Key>, faultline::allocator<std::pair<Key, Value>>>;
template <typename Value>
using StableVector = boost::container::stable_vector<Value, faultline::allocator<Value>>;

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1048576; }

constexpr std::uint64_t square(std::uint64_t number) { return number * number; }

int run() {
    faultline::Pager pager{{.resident_limit = 4_MiB}};
    faultline::Heap heap{pager};

    // One block of pages of its own. With room for all it is written from its begin to its end, and never copied.
    FlatMap<std::uint64_t, std::uint64_t> squares{heap};
    squares.reserve(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) squares.emplace_hint(squares.end(), i, square(i));

    // Keeps its elements where they are: each is a block, beside the one before.
    StableVector<std::uint64_t> roots{heap};
    for (const auto& [root, number] : squares) roots.push_back(root);

    std::uint64_t right = 0;
    for (std::uint64_t i = 0; i < kCount; ++i) right += roots[i] == i && squares.at(i) == square(i) ? 1U : 0U;

    const faultline::HeapStats stats = heap.stats();
    std::printf("%ju squares right; %.1f MiB live, %.1f MiB of them in memory\n", std::uintmax_t{right},
                mebibytes(stats.live_bytes), mebibytes(stats.paging.resident_bytes));
    return right == kCount ? 0 : 1;
}

}  // namespace

int main() {
    try {
        return run();
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.code() == std::errc::operation_not_permitted ? 77 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
