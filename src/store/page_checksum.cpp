#include "store/page_checksum.hpp"

#define XXH_INLINE_ALL  // makes the header the whole library
#include <xxhash.h>

namespace faultline::store {

PageChecksum page_checksum_of(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.low64, hash.high64};
}

std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed) FAULTLINE_SIGNAL_SAFE {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace faultline::store
