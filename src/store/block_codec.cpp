#include "store/block_codec.hpp"

#include "core/check.hpp"
#include "core/units.hpp"

#include <lz4.h>

namespace faultline::store {
namespace {

constexpr int kAcceleration = 1;  // LZ4's default

const char* chars(const std::byte* bytes) noexcept { return reinterpret_cast<const char*>(bytes); }
char* chars(std::byte* bytes) noexcept { return reinterpret_cast<char*>(bytes); }

}  // namespace

bool decompress(std::span<const std::byte> from, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    const auto size = static_cast<int>(into.size());
    return LZ4_decompress_safe(chars(from.data()), chars(into.data()), static_cast<int>(from.size()), size) == size;
}

CompressorPool::CompressorPool(core::RecordMemory* records)
    : state_bytes_{core::align_up(static_cast<std::size_t>(LZ4_sizeofState()), std::size_t{64})},
      buffers_{{kCompressors, state_bytes_ + most_compressed(kLargestBlockBytes)}, "compressors", records} {}

std::span<const std::byte> CompressorPool::Compressor::compress(std::span<const std::byte> block) const
    FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(block.size() <= kLargestBlockBytes);
    std::byte* const state = pool_.buffers_.bytes_of(buffer_).data();
    std::byte* const into = state + pool_.state_bytes_;
    const int size = LZ4_compress_fast_extState(state, chars(block.data()), chars(into), static_cast<int>(block.size()),
                                                static_cast<int>(most_compressed(block.size())), kAcceleration);
    return {into, size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace faultline::store
