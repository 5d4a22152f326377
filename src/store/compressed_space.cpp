#include "store/compressed_space.hpp"

#include "core/units.hpp"
#include "store/compressed_store.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/signal_block.hpp"

namespace faultline::store {

std::unique_ptr<BackingStore> CompressedSpace::open(std::uint64_t bytes) {
    return open_for_pages(bytes, core::kUnitBytes);
}

std::unique_ptr<BackingStore> CompressedSpace::open_for_pages(std::uint64_t bytes, std::size_t page_bytes) {
    return std::make_unique<CompressedStore>(pool_, behind_->open_for_pages(bytes, page_bytes), bytes, page_bytes);
}

int CompressedSpace::spill_all(WriteQueue& queue) {
    const sys::SignalBlock no_signals;  // the pool's locks belong to the fault path
    return pool_.spill_all(queue);
}

void CompressedSpace::prepare_fork() {
    const std::unique_ptr<WriteQueue> queue = fastest_write_queue();
    if (const int error = spill_all(*queue)) {
        sys::throw_error(error, "cannot write compressed pages to the swap file before fork");
    }
    behind_->prepare_fork();
}

}  // namespace faultline::store
