// Another project that keeps pages on an NBD server: nbd URI.
#include <faultline/faultline.hpp>
#include <faultline/nbd_store.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <system_error>

int main(int, char** argv) try {
    using namespace faultline::literals;
    faultline::Config config;
    config.resident_limit = 4_MiB;
    config.store = faultline::open_nbd_store({.uri = argv[1]});
    faultline::Pager pager{config};
    faultline::Region region = pager.reserve(32_MiB);
    const auto words = region.as<std::uint64_t>();
    for (std::size_t i = 0; i < words.size(); i += 512) words[i] = i + 1;
    int wrong = 0;
    for (std::size_t i = 0; i < words.size(); i += 512) wrong += words[i] != i + 1;
    std::printf("%zu pages on %s, %d wrong\n", words.size() / 512, argv[1], wrong);
    return wrong == 0 ? 0 : 1;
} catch (const std::system_error& error) {
    std::printf("%s\n", error.what());
    const bool not_permitted = error.code().value() == EPERM || error.code().value() == ENOSYS;
    return not_permitted ? 77 : 1;
}
