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

struct SeenPrograms {
    std::vector<SeenProgram> programs;  ///< In the order of their claims.
    EarlierPrograms earlier;            ///< Whose slots others have.
    std::uint64_t unheard = 0;          ///< Programs that found no slot.
    std::uint64_t claims = 0;           ///< Programs that asked for one.
};

class StatusFile {
public:
    /// A file in memory that nobody can make shorter. Throws std::system_error.
    StatusFile();
    ~StatusFile();
    StatusFile(const StatusFile&) = delete;
    StatusFile& operator=(const StatusFile&) = delete;

    /// Good for any process that may look into this one, while this one lives, whatever descriptors it has closed.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// What all programs have said last. One that was saying something just then at every try is left out, so look
    /// again. Any thread; may throw std::bad_alloc.
    [[nodiscard]] SeenPrograms look() const;

private:
    sys::FileDescriptor fd_;
    StatusMemory* memory_ = nullptr;
    std::string path_;
};

}  // namespace faultline::run
