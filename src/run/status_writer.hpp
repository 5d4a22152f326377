// StatusWriter: a program's end of the status file. It allocates nothing, takes no lock, makes system calls only to
// open the file and to claim a slot, and gives up quietly: figures are never worth a program's failing.
#pragma once

#include "run/program_status.hpp"
#include "run/status_layout.hpp"

#include <cstdint>
#include <string_view>

namespace faultline::run {

/// Used by one thread at a time. Has no destructor worth running: what was said stays said.
class StatusWriter {
public:
    /// Whether the program says this as its last words (it may be cut off before).
    enum class Last : std::uint8_t { no, yes };

    StatusWriter() noexcept = default;
    StatusWriter(const StatusWriter&) = delete;
    StatusWriter& operator=(const StatusWriter&) = delete;

    /// Maps the file and, where it wants figures, claims a slot, in which the program then stands with figures of zero.
    /// Returns 0 or an errno: that of open(2) or mmap(2), EINVAL (it is no status file, or of another version), EUSERS
    /// (no slot is free).
    [[nodiscard]] int open(std::string_view path) noexcept;

    /// Says how the program is doing: of `status`, the figures, the map, and how faults arrive; the rest is filled in.
    /// In a child of fork, the first call claims a slot for it, and the counters of that call are what it counts from.
    /// Nothing happens when no file is open, or the slot is somebody else's by now.
    void publish(const ProgramStatus& status, Last last = Last::no) noexcept;

    /// Counts a program that this one starts and that the preloaded library cannot enter. Does nothing where no file is
    /// open. Signal-safe; any thread, also in a child of vfork.
    void note_unmanaged(const UnmanagedProgram& program) noexcept;

    /// Whether the file is open and wants figures.
    [[nodiscard]] bool wants_figures() const noexcept { return memory_ != nullptr && memory_->wants_figures != 0; }

    /// Whether the program has a slot.
    [[nodiscard]] bool has_slot() const noexcept { return slot_ != nullptr; }

private:
    void claim() noexcept;
    void take(StatusSlot& slot, std::uint64_t owner) noexcept;
    [[nodiscard]] bool take_free(std::uint64_t claim) noexcept;
    [[nodiscard]] bool take_over(std::uint64_t claim) noexcept;

    StatusMemory* memory_ = nullptr;
    StatusSlot* slot_ = nullptr;
    std::uint64_t owner_ = StatusSlot::kFree;
    std::uint64_t published_ = 0;
    std::uint64_t started_at_ = 0;
    ProcessIdentity process_;
    ProgramCounters before_;  // what the parent had counted at the fork
};

}  // namespace faultline::run
