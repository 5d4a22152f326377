#include "store/backing_store.hpp"

#include "sys/error.hpp"

#include <cerrno>

namespace faultline::store {

void StoreFactory::prepare_fork() {
    sys::throw_error(EOPNOTSUPP, "these stores cannot be shared with a child process");
}

}  // namespace faultline::store
