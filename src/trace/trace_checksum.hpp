// TraceChecksum: the checksum of a trace file, computed piece by piece. It detects accidental damage, not forgery. It
// is the 64-bit XXH3 with seed 0, so `xxhsum -H3` computes it, too. TraceWriter and the readers of traces use it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::trace {

/// A value: a copy continues on its own.
class TraceChecksum {
public:
    TraceChecksum() noexcept;

    void add(std::span<const unsigned char> bytes) noexcept;

    /// Returns the checksum of all bytes that were added so far.
    [[nodiscard]] std::uint64_t value() const noexcept;

private:
    static constexpr std::size_t kStateBytes = 576;

    // An XXH3_state_t, so that only the source file includes xxhash, all of which is in its header.
    alignas(64) std::array<std::byte, kStateBytes> state_{};
};

}  // namespace faultline::trace
