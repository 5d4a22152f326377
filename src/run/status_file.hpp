// StatusFile: the command's end of the status file of `faultline run`. It makes the file, names the path by which
// programs find it, and reads their records. It never waits.
// Used by run_command.cpp, the report and the live view.
#pragma once

#include "run/program_status.hpp"
#include "run/status_layout.hpp"
#include "sys/file_descriptor.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace faultline::run {

struct SeenProgram {
    bool running = false;  ///< True while more records may follow.
    ProgramStatus status;
};

/// Programs of one name that ran without the preloaded library for one reason.
struct SeenUnmanaged {
    UnmanagedProgram program;
    std::uint64_t starts = 0;
};

struct SeenPrograms {
    std::vector<SeenProgram> programs;  ///< In the order of their claims.
    EarlierPrograms earlier;            ///< Programs whose slots others have taken over.
    std::uint64_t unheard = 0;          ///< Programs that found no free slot.
    std::uint64_t claims = 0;           ///< Programs that the preloaded library has entered.
    TreePeak tree_peak;                 ///< Of all programs together, if they share memory.

    std::vector<SeenUnmanaged> unmanaged;  ///< In the order of their first starts.
    std::uint64_t more_unmanaged = 0;      ///< Starts of programs for which no entry was free.
};

class StatusFile {
public:
    /// Whether programs write figures, or only report their start and the programs that they start unmanaged.
    enum class Figures : std::uint8_t { none, wanted };

    /// Makes a file in memory that no process can shorten. `memory_limit`: bytes that the programs share; 0: none.
    /// Throws std::system_error.
    explicit StatusFile(Figures figures = Figures::wanted, std::uint64_t memory_limit = 0);
    ~StatusFile();
    StatusFile(const StatusFile&) = delete;
    StatusFile& operator=(const StatusFile&) = delete;

    /// Returns the path. It works while this process lives, in any process that may inspect this one, whatever
    /// descriptors that one closes.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Returns true if this process can open the path. It cannot if /proc is not mounted; then programs cannot, either.
    [[nodiscard]] bool can_be_opened() const noexcept;

    /// Returns true once the preloaded library has entered a program.
    [[nodiscard]] bool entered() const noexcept { return memory_->claims.load(std::memory_order_acquire) > 0; }

    /// Returns the last record of each program. Omits a program that was writing at every attempt, so call it again.
    /// Any thread may call it; may throw std::bad_alloc.
    [[nodiscard]] SeenPrograms look() const;

private:
    sys::FileDescriptor fd_;
    StatusMemory* memory_ = nullptr;
    std::string path_;
};

}  // namespace faultline::run
