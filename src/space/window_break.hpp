// WindowBreak: the break of a program, brk(2), in a MappingWindow. Its memory is ordinary memory of the window, so
// munmap, mprotect and fork treat it as any other. It grows upwards from the window's begin, and mappings are placed
// downwards from the window's end. ProgramBreak is the break of an AddressSpace, whose heap is a segment of a kind of
// its own.
#pragma once

#include "space/mapping_window.hpp"

#include <cstdint>

namespace faultline::space {

/// Not thread-safe: as MappingWindow.
class WindowBreak {
public:
    /// Starts with an empty break. `window` must outlive it.
    explicit WindowBreak(MappingWindow& window) noexcept
        : window_{window}, begin_{window.range().begin}, break_{begin_} {}

    /// Returns the break.
    [[nodiscard]] std::uintptr_t get() const noexcept { return break_; }

    /// Moves the break to `address` if that is possible and at most `most_bytes` lie below it then. Returns the break.
    std::uintptr_t move(std::uintptr_t address, std::uint64_t most_bytes);

private:
    [[nodiscard]] long resize(AddressRange change, bool grows);

    MappingWindow& window_;
    std::uintptr_t begin_;
    std::uintptr_t break_;
};

}  // namespace faultline::space
