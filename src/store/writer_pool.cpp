#include "store/writer_pool.hpp"

#include "core/units.hpp"

#include <new>
#include <type_traits>

namespace faultline::store {
namespace {

constexpr std::size_t kStride = core::align_up(sizeof(SlotWriterMemory), core::kUnitBytes);

}  // namespace

WriterPool::WriterPool()
    : memory_{sys::Mapping::reserve(kWriters * kStride, core::kUnitBytes, true, "writing swapped pages")} {
    static_assert(std::is_trivially_copyable_v<SlotWriterMemory>);  // its objects need no construction
}

SlotWriterMemory& WriterPool::memory_of(unsigned number) const FAULTLINE_SIGNAL_SAFE {
    return *std::launder(reinterpret_cast<SlotWriterMemory*>(memory_.data() + number * kStride));
}

}  // namespace faultline::store
