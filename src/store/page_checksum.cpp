#include "store/page_checksum.hpp"

#define XXH_INLINE_ALL  // makes the header the whole library
#include <xxhash.h>

namespace faultline::store {

PageChecksum page_checksum_of(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.low64, hash.high64};
}

}  // namespace faultline::store
