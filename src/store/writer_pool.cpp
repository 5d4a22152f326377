#include "store/writer_pool.hpp"

#include <new>
#include <type_traits>

namespace faultline::store {

WriterPool::WriterPool(core::RecordMemory* records)
    : buffers_{{kWriters, sizeof(SlotWriterMemory)}, "writing swapped pages", records} {
    static_assert(std::is_trivially_copyable_v<SlotWriterMemory>);  // its objects need no construction
}

SlotWriterMemory& WriterPool::memory_of(unsigned number) const FAULTLINE_SIGNAL_SAFE {
    return *std::launder(reinterpret_cast<SlotWriterMemory*>(buffers_.bytes_of(number).data()));
}

}  // namespace faultline::store
