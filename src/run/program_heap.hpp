// Makes the heap of a program from its settings. By default it is smaller if the process or the machine lacks
// addresses.
// Called by the preload, and by the doctor to see whether such a heap can be made.
#pragma once

#include "heap/heap.hpp"
#include "pager/pager.hpp"
#include "run/settings.hpp"

#include <cstddef>
#include <memory>

namespace faultline::run {

struct ProgramHeap {
    std::unique_ptr<heap::Heap> heap;
    std::size_t reservation = 0;  ///< Bytes of reserved addresses.
};

/// Makes the heap. The default reservation is far more than most programs need. If there are fewer addresses, the heap
/// takes half of them and leaves the rest to the program. A size that the user has set is used as it is, or refused.
/// Throws std::system_error.
[[nodiscard]] ProgramHeap make_program_heap(const Settings& settings);

}  // namespace faultline::run
