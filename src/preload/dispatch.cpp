#include "preload/dispatch.hpp"
#include "sys/error.hpp"
#include <cerrno>
namespace faultline::preload {
void Dispatch::start(int) { sys::throw_error(ENOSYS, "not yet"); }
void Dispatch::begin_thread() noexcept {}
}
