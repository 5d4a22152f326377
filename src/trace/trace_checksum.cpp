#include "trace/trace_checksum.hpp"

#include "core/check.hpp"

#include <new>

#define XXH_INLINE_ALL  // makes the header the whole library
#include <xxhash.h>

namespace faultline::trace {
namespace {

XXH3_state_t* state_in(std::byte* bytes) noexcept { return std::launder(reinterpret_cast<XXH3_state_t*>(bytes)); }
const XXH3_state_t* state_in(const std::byte* bytes) noexcept {
    return std::launder(reinterpret_cast<const XXH3_state_t*>(bytes));
}

}  // namespace

TraceChecksum::TraceChecksum() noexcept {
    static_assert(sizeof(XXH3_state_t) <= kStateBytes && alignof(XXH3_state_t) <= alignof(TraceChecksum));
    auto* const state = new (state_.data()) XXH3_state_t;
    FAULTLINE_REQUIRE(XXH3_64bits_reset(state) == XXH_OK, "cannot begin a checksum");
}

void TraceChecksum::add(std::span<const unsigned char> bytes) noexcept {
    const XXH_errorcode result = XXH3_64bits_update(state_in(state_.data()), bytes.data(), bytes.size());
    FAULTLINE_REQUIRE(result == XXH_OK, "cannot continue a checksum");
}

std::uint64_t TraceChecksum::value() const noexcept { return XXH3_64bits_digest(state_in(state_.data())); }

}  // namespace faultline::trace
