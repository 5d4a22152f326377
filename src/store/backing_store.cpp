#include "store/backing_store.hpp"

#include "sys/error.hpp"

#include <cerrno>

namespace faultline::store {

void StoreFactory::prepare_fork() {
    sys::throw_error(EOPNOTSUPP, "this kind of store cannot be shared with a child of fork");
}

}  // namespace faultline::store
