// Compresses and decompresses single blocks. The only state is the compressor's working memory, which CompressorPool
// lends. SlotWriter and CompressedPool call it. It decides nothing about where blocks are stored. Only this file uses
// LZ4.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "store/slot_word.hpp"
#include "sys/buffer_set.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Larger pages are several blocks. Then a page read in pieces is not decompressed several times, and blocks fill a
/// segment well. Larger blocks would compress little better.
inline constexpr std::size_t kLargestBlockBytes = kBlockSlots * core::kUnitBytes;

/// The size that a block must shrink to. A larger result saves too little memory for the time it costs.
constexpr std::size_t most_compressed(std::size_t block_bytes) noexcept { return block_bytes * 3000 / 4096; }

/// Decompresses `from` into all of `into`. Returns false if `from` is damaged or does not have the size of `into`.
[[nodiscard]] bool decompress(std::span<const std::byte> from, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;

/// Working memory for compression: 32 KiB for each thread that compresses at the same time, allocated at first use.
class CompressorPool {
public:
    /// `records`: see sys::BufferSet. Throws std::system_error (ENOMEM).
    explicit CompressorPool(core::RecordMemory* records);

    /// Holds one working memory. The constructor blocks while all are in use.
    class Compressor {
    public:
        explicit Compressor(CompressorPool& pool) FAULTLINE_SIGNAL_SAFE : pool_{pool}, buffer_{pool.buffers_.take()} {}
        ~Compressor() { pool_.buffers_.give_back(buffer_); }
        Compressor(const Compressor&) = delete;
        Compressor& operator=(const Compressor&) = delete;

        /// Returns at most most_compressed() bytes, valid until the next call. Returns an empty span if the block does
        /// not shrink that far.
        [[nodiscard]] std::span<const std::byte> compress(std::span<const std::byte> block) const FAULTLINE_SIGNAL_SAFE;

    private:
        CompressorPool& pool_;
        unsigned buffer_;
    };

private:
    static constexpr unsigned kCompressors = 32;

    std::size_t state_bytes_;
    sys::BufferSet buffers_;
};

}  // namespace faultline::store
