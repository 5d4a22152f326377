// ForkWatch: tells a process from the child it forked. A child inherits the pager's descriptors and its picture of
// memory, but neither the memory nor the threads: it must touch nothing.
#pragma once

namespace faultline::sys {

/// A number that differs between a process and every child it forks. Signal-safe after the first call.
[[nodiscard]] unsigned process_generation() noexcept;

}  // namespace faultline::sys
