// The order of fork handlers. The C library runs those that were registered first last before fork, and first after it:
// so the pager's must be the first, or those of a library whose constructors ran before ours would use the heap while
// nothing serves faults. Every registration in the program comes by here.

#include "preload/next.hpp"
#include "sys/fork_watch.hpp"

namespace faultline::preload {
namespace {

Next<int(void (*)(), void (*)(), void (*)(), void*)> next_register{"__register_atfork"};

}  // namespace
}  // namespace faultline::preload

// NOLINTBEGIN: the C library's name and signature
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* library) noexcept {
    faultline::sys::watch_forks();
    return faultline::preload::next_register(prepare, parent, child, library);
}
// NOLINTEND
