// Compressing one block, and checksums: the only place that knows LZ4 and XXH3. No state of its own but the
// compressor's working space, which CompressorPool lends.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/mapping.hpp"
#include "sys/slot_pool.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Larger pages are several blocks: a page that is read in pieces is not decompressed again and again, and blocks this
/// small fill a segment well, while larger ones would compress little better.
inline constexpr std::size_t kLargestBlockBytes = std::size_t{16} << 10;

/// What a block must shrink to: below, keeping it saves too little memory for the time it costs.
constexpr std::size_t most_compressed(std::size_t block_bytes) noexcept { return block_bytes * 3000 / 4096; }

/// False: `from` is not what was compressed, or not `into`'s size.
[[nodiscard]] bool decompress(std::span<const std::byte> from, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;

/// XXH3, 64 bits.
[[nodiscard]] std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed) FAULTLINE_SIGNAL_SAFE;

/// Working space for compressing, 32 KiB per thread that does it at the same time; memory is taken at first use.
class CompressorPool {
public:
    CompressorPool();

    /// Holds one working space; waits for one when all are taken.
    class Compressor {
    public:
        explicit Compressor(CompressorPool& pool) FAULTLINE_SIGNAL_SAFE : pool_{pool}, slot_{pool.slots_.take()} {}
        ~Compressor() { pool_.slots_.give_back(slot_); }
        Compressor(const Compressor&) = delete;
        Compressor& operator=(const Compressor&) = delete;

        /// At most most_compressed() bytes, which are valid until the next call; empty if the block does not shrink to
        /// that.
        [[nodiscard]] std::span<const std::byte> compress(std::span<const std::byte> block) const FAULTLINE_SIGNAL_SAFE;

    private:
        CompressorPool& pool_;
        unsigned slot_;
    };

private:
    static constexpr unsigned kCompressors = 32;

    std::size_t state_bytes_;
    std::size_t stride_;
    sys::Mapping memory_;
    sys::SlotPool slots_{kCompressors};
};

}  // namespace faultline::store
