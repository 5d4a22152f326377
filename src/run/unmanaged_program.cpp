#include "run/unmanaged_program.hpp"

#include "run/status_layout.hpp"

#include <algorithm>

namespace faultline::run {

UnmanagedProgram unmanaged_program(std::string_view path, Obstacle obstacle) noexcept {
    UnmanagedProgram program{.obstacle = obstacle};
    const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
    std::copy_n(name.begin(), std::min(name.size(), program.name.size() - 1), program.name.begin());
    return program;
}

void note_unmanaged(StatusMemory& memory, const UnmanagedProgram& program) noexcept {
    for (UnmanagedEntry& entry : memory.unmanaged) {
        if (entry.starts.load(std::memory_order_acquire) == 0 || entry.program.load() != program) continue;
        entry.starts.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    // Two writers may take an entry each for the same program; the reader adds them.
    const std::uint64_t index = memory.unmanaged_taken.fetch_add(1, std::memory_order_relaxed);
    if (index >= memory.unmanaged.size()) return;
    memory.unmanaged[index].program.store(program);
    memory.unmanaged[index].starts.store(1, std::memory_order_release);
}

}  // namespace faultline::run
