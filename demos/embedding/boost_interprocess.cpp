// docs/embedding.md: Boost.Interprocess's own allocator in a region, with objects that are found by name. All its data
// is in the region, as offsets: a copy of the bytes elsewhere holds the same objects. Exits with 0 if all are found
// there.
#include <faultline/literals.hpp>
#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

namespace {

using namespace faultline::literals;

namespace bi = boost::interprocess;

constexpr std::size_t kBytes = 32_MiB;
constexpr std::uint64_t kWords = 100'000;

using Buffer = bi::managed_external_buffer;
template <typename T>
using Allocator = bi::allocator<T, Buffer::segment_manager>;
using Text = bi::basic_string<char, std::char_traits<char>, Allocator<char>>;
using Index = bi::map<std::uint64_t, Text, std::less<std::uint64_t>, Allocator<std::pair<const std::uint64_t, Text>>>;

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1048576; }

std::string word(std::uint64_t number) { return "the word that has the number " + std::to_string(number); }

void fill(Buffer& buffer) {
    Index& index = *buffer.construct<Index>("index")(buffer.get_segment_manager());
    for (std::uint64_t i = 0; i < kWords; ++i) {
        index.emplace_hint(index.end(), i, Text{word(i).c_str(), buffer.get_segment_manager()});
    }
}

std::uint64_t count_right(Buffer& buffer) {
    const Index* const index = buffer.find<Index>("index").first;
    std::uint64_t right = 0;
    for (const auto& [number, text] : *index) right += word(number) == text.c_str() ? 1U : 0U;
    return right;
}

int run() {
    faultline::Pager pager{{.resident_limit = 4_MiB}};
    faultline::Region region = pager.reserve(kBytes);
    {
        Buffer buffer{bi::create_only, region.data(), region.size()};
        fill(buffer);
    }

    faultline::Region copy = pager.reserve(kBytes);
    std::memcpy(copy.data(), region.data(), kBytes);
    region.destroy();
    Buffer buffer{bi::open_only, copy.data(), copy.size()};
    const std::uint64_t right = count_right(buffer);

    std::printf("%ju words right, in a copy; %.1f MiB of the buffer taken, %.1f MiB of it in memory\n",
                std::uintmax_t{right}, mebibytes(buffer.get_size() - buffer.get_free_memory()),
                mebibytes(copy.stats().resident_bytes));
    return right == kWords ? 0 : 1;
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
