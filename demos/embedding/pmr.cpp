// docs/embedding.md: standard containers that are larger than their memory limit. Exits with 0 if every string is found
// unchanged.
#include <faultline/allocator.hpp>
#include <faultline/heap.hpp>
#include <faultline/literals.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory_resource>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using namespace faultline::literals;

constexpr std::size_t kLines = 150'000;

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1048576; }

std::string line(std::size_t number) { return std::string(80, '.') + std::to_string(number); }

int run() {
    faultline::Pager pager{{.resident_limit = 8_MiB}};
    faultline::Heap heap{pager};

    // By std::pmr: the vector and every string in it live in the heap.
    std::pmr::vector<std::pmr::string> lines{heap.resource()};
    for (std::size_t i = 0; i < kLines; ++i) lines.emplace_back(line(i));

    // By an allocator of one pointer, for containers that are not std::pmr's.
    std::vector<std::size_t, faultline::allocator<std::size_t>> lengths{heap};
    for (const std::pmr::string& one : lines) lengths.push_back(one.size());

    std::size_t right = 0;
    for (std::size_t i = 0; i < kLines; ++i) right += std::string_view{lines[i]} == line(i) ? 1U : 0U;

    const faultline::HeapStats stats = heap.stats();
    std::printf("%zu of %zu strings right; %.1f MiB live, %.1f MiB of them in memory\n", right, lengths.size(),
                mebibytes(stats.live_bytes), mebibytes(stats.paging.resident_bytes));
    return right == kLines ? 0 : 1;
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
