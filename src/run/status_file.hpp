// StatusFile: the end of the status file that `faultline run` holds. It makes the file, says by which path programs
// find it, and reads what they have said. It waits for nobody.
#pragma once

#include "run/program_status.hpp"
#include "run/status_layout.hpp"
#include "sys/file_descriptor.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace faultline::run {

struct SeenProgram {
    bool running = false;  ///< Whether more is to come.
    ProgramStatus status;
};

/// Programs of one name that ran without the preloaded library, for one reason.
struct SeenUnmanaged {
    UnmanagedProgram program;
    std::uint64_t starts = 0;
};

struct SeenPrograms {
    std::vector<SeenProgram> programs;  ///< In the order of their claims.
    EarlierPrograms earlier;            ///< Whose slots others have.
    std::uint64_t unheard = 0;          ///< Programs that found no slot.
    std::uint64_t claims = 0;           ///< Programs that the preloaded library has entered.

    std::vector<SeenUnmanaged> unmanaged;  ///< In the order of their first starts.
    std::uint64_t more_unmanaged = 0;      ///< Starts of further ones, whose names found no room.
};

class StatusFile {
public:
    /// Whether programs leave figures, or only tell that they were entered and what they start unmanaged.
    enum class Figures : std::uint8_t { none, wanted };

    /// Makes a file in memory, which no process can make shorter. Throws std::system_error.
    explicit StatusFile(Figures figures = Figures::wanted);
    ~StatusFile();
    StatusFile(const StatusFile&) = delete;
    StatusFile& operator=(const StatusFile&) = delete;

    /// Good for any process that may look into this one, while this one lives, whatever descriptors it has closed.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Whether this process can open the path: not where /proc is not mounted, and then programs can neither.
    [[nodiscard]] bool can_be_opened() const noexcept;

    /// Whether the preloaded library has entered a program.
    [[nodiscard]] bool entered() const noexcept { return memory_->claims.load(std::memory_order_acquire) > 0; }

    /// What all programs have said last. One that was saying something just then at every try is left out, so look
    /// again. Any thread; may throw std::bad_alloc.
    [[nodiscard]] SeenPrograms look() const;

private:
    sys::FileDescriptor fd_;
    StatusMemory* memory_ = nullptr;
    std::string path_;
};

}  // namespace faultline::run
