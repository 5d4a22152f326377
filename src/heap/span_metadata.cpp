#include "heap/span_metadata.hpp"

#include <cstring>
#include <mutex>
#include <new>

namespace faultline::heap {
namespace {

/// Layout of a piece: | free bits, 8 bytes for 64 blocks | used counts, 2 bytes per page | marks, 1 byte per block, and
/// 1 |
struct Parts {
    std::size_t counts;
    std::size_t marks;
    std::size_t bytes;

    explicit constexpr Parts(const ClassShape& shape) noexcept
        : counts{(shape.blocks + 63U) / 64 * sizeof(std::uint64_t)},
          marks{counts + shape.span_pages * sizeof(std::uint16_t)},
          bytes{core::align_up<std::size_t>(marks + shape.blocks + 1, 64)} {}
};

}  // namespace

bool SpanMetadata::take(Span& span) noexcept {
    const ClassShape& its = shape(span.size_class);
    const Parts parts{its};
    auto* at = reinterpret_cast<std::byte*>(take_free(span.size_class));
    if (at == nullptr) {
        std::uint64_t begin = end_.load(std::memory_order_relaxed);
        do {
            if (parts.bytes > bytes_.size() - begin) return false;
        } while (!end_.compare_exchange_weak(begin, begin + parts.bytes, std::memory_order_relaxed));
        at = &bytes_[begin];
    }
    span.free_bits = reinterpret_cast<std::uint64_t*>(at);
    span.used = reinterpret_cast<std::uint16_t*>(at + parts.counts);
    span.marks = reinterpret_cast<Mark*>(at + parts.marks);
    for (std::uint32_t first = 0; first < its.blocks; first += 64) {
        const std::uint32_t count = its.blocks - first;
        span.free_bits[first / 64] = count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    }
    std::memset(span.used, 0, its.span_pages * sizeof(std::uint16_t));
    for (std::uint32_t i = 0; i <= its.blocks; ++i) span.marks[i].store(kNotLive, std::memory_order_relaxed);
    return true;
}

SpanMetadata::Piece* SpanMetadata::take_free(SizeClass size_class) noexcept {
    const std::lock_guard lock{mutex_};
    Piece* const piece = free_[size_class];
    if (piece != nullptr) free_[size_class] = piece->next;
    return piece;
}

void SpanMetadata::give(Span& span) noexcept {
    const std::lock_guard lock{mutex_};
    free_[span.size_class] = new (span.free_bits) Piece{free_[span.size_class]};
}

}  // namespace faultline::heap
