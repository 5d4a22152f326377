// StatusWriter: a program's end of the status file.
// It allocates nothing, takes no lock, and makes system calls only to open the file and to claim a slot. It fails
// silently, because figures must never make a program fail. Used by the preload.
#pragma once

#include "run/program_status.hpp"
#include "run/status_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace faultline::run {

/// For one thread at a time. The destructor does nothing: records stay in the file.
class StatusWriter {
public:
    /// Whether the program announces its end with this record. The process may still be killed before it.
    enum class Last : std::uint8_t { no, yes };

    StatusWriter() noexcept = default;
    StatusWriter(const StatusWriter&) = delete;
    StatusWriter& operator=(const StatusWriter&) = delete;

    /// Maps the file. If the file wants figures, claims a slot and writes a record without figures. Returns 0 or an
    /// errno: that of open(2) or mmap(2), EINVAL (not a status file, or another version), EUSERS (no slot is free).
    [[nodiscard]] int open(std::string_view path) noexcept;

    /// Writes a record. Takes from `status` the figures, the map, the delivery and the eviction; fills in the rest. In
    /// a child of fork, the first call claims a slot, and later counters are relative to those of that call. Does
    /// nothing if no file is open or if the slot has another owner by now.
    void publish(const ProgramStatus& status, Last last = Last::no) noexcept;

    /// Counts a program that this one starts and that the preloaded library cannot enter. Does nothing if no file is
    /// open. Signal-safe; any thread may call it, also in a child of vfork.
    void note_unmanaged(const UnmanagedProgram& program) noexcept;

    /// Returns true if the file is open and wants figures.
    [[nodiscard]] bool wants_figures() const noexcept { return memory_ != nullptr && memory_->wants_figures != 0; }

    /// Returns the file's memory, or null if it is not open; and the number of the program's slot, if it has one.
    [[nodiscard]] StatusMemory* memory() const noexcept { return memory_; }
    [[nodiscard]] std::size_t slot() const noexcept { return static_cast<std::size_t>(slot_ - memory_->slots.data()); }

    /// Returns true if the program has a slot.
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
    ProgramCounters before_;  // the parent's counters at the fork
};

}  // namespace faultline::run
