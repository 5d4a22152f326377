// A minimal program of another project: reserves more than the limit, writes, and reads back.
#include <faultline/faultline.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <system_error>

int main() try {
    faultline::Config config;
    config.resident_limit = std::size_t{4} << 20;
    faultline::Pager pager{config};
    faultline::Region region = pager.reserve(std::size_t{16} << 20);

    auto* words = reinterpret_cast<std::uint64_t*>(region.data());
    const std::size_t stride = region.page_size() / sizeof(std::uint64_t);
    const std::size_t count = region.size() / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < count; i += stride) words[i] = i + 1;
    for (std::size_t i = 0; i < count; i += stride) {
        if (words[i] != i + 1) {
            std::printf("word %zu reads %llu\n", i, static_cast<unsigned long long>(words[i]));
            return 1;
        }
    }
    std::printf("faultline " FAULTLINE_VERSION_STRING ", %s: %zu MiB within %zu MiB\n",
                faultline::name(pager.delivery()), region.size() >> 20, pager.resident_limit() >> 20);
    return 0;
} catch (const std::system_error& error) {
    std::printf("%s\n", error.what());
    const bool not_permitted = error.code().value() == EPERM || error.code().value() == ENOSYS;
    return not_permitted ? 77 : 1;
}
