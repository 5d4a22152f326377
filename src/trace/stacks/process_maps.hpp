// ProcessMaps: which files the calling process has mapped with code in them, and their build ids. A reader of samples
// finds functions and lines by it after the process has ended. For an ordinary thread: it reads files and allocates.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace faultline::trace {

struct MappedPart {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t offset = 0;  ///< In the file.
    bool executable = false;
    std::string path;
    std::vector<unsigned char> build_id;  ///< Empty if the file has none.
};

class ProcessMaps {
public:
    /// Reads /proc/self/maps; empty if that is not possible.
    ProcessMaps();

    /// All parts of files that have an executable part, by address.
    [[nodiscard]] const std::vector<MappedPart>& parts() const noexcept { return parts_; }

    /// Returns true if code was mapped at `address`, of a file or not.
    [[nodiscard]] bool has_code_at(std::uint64_t address) const noexcept;

private:
    struct Range {
        std::uint64_t begin;
        std::uint64_t end;
    };
    std::vector<MappedPart> parts_;
    std::vector<Range> code_;  // by address
};

}  // namespace faultline::trace
