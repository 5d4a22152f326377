// ForkWatch: tells a process from the child it forked. A child inherits the pager's descriptors and its picture of
// memory, but neither the memory nor the threads: it must touch nothing.
#pragma once

namespace faultline::sys {

/// A number that differs between a process and every child it forks. Signal-safe after the first call.
[[nodiscard]] unsigned process_generation() noexcept;

/// Calls `function` in every child of fork from now on, before fork returns there. Throws std::system_error (ENOMEM).
void call_in_children(void (*function)());

}  // namespace faultline::sys
