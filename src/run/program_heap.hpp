// ProgramHeap: the heap that a program is given, made as its settings say, and smaller by default where the process or
// the machine does not have the addresses. The preload makes it for the program, the doctor to see whether it can be.
#pragma once

#include "heap/heap.hpp"
#include "pager/pager.hpp"
#include "run/settings.hpp"

#include <cstddef>
#include <memory>

namespace faultline::run {

struct ProgramHeap {
    std::unique_ptr<heap::Heap> heap;
    std::size_t reservation = 0;  ///< Bytes of its addresses.
};

/// The default reservation is far more than most programs need: where there are not so many addresses, the heap takes
/// half of what there is and leaves the rest to the program. What the user has set is taken, or refused. Throws
/// std::system_error.
[[nodiscard]] ProgramHeap make_program_heap(const Settings& settings);

}  // namespace faultline::run
