#include "store/backing_store.hpp"

#include "sys/error.hpp"

#include <cerrno>

namespace faultline::store {

int BackingStore::read_pages(std::span<const StoreRead> reads, DuringRead*) FAULTLINE_SIGNAL_SAFE {
    for (const StoreRead& one : reads) {
        if (const int error = read(one.offset, one.into)) return error;
    }
    return 0;
}

void StoreFactory::write(std::span<StoreWrite> writes, WriteQueue&) FAULTLINE_SIGNAL_SAFE {
    for (StoreWrite& one : writes) one.error = one.store->write(one.offset, one.bytes);
}

void StoreFactory::prepare_fork(WriteQueue& /*queue*/) {
    sys::throw_error(EOPNOTSUPP, "these stores cannot be shared with a child of fork");
}

}  // namespace faultline::store
