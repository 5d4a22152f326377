// The properties that a loader relies on in every program that read_program() returns.
#pragma once

#include "elf/program_file.hpp"

#include <cstdint>

namespace faultline::test {

/// Checks a program that was read from a file of `file_bytes` bytes. Returns the first property that does not hold, or
/// null.
inline const char* unsound(const demo::elf::ProgramFile& program, std::uint64_t file_bytes) {
    constexpr std::uint64_t kUserEnd = std::uint64_t{1} << 47;
    if (program.parts.empty()) return "the program has parts";
    std::uint64_t free = 0;  // the lowest page that the next part may use
    bool has_entry = false;
    for (const demo::elf::LoadedPart& part : program.parts) {
        if (part.memory_bytes == 0) return "a part has memory";
        if (part.file_bytes > part.memory_bytes) return "a part has room for its bytes";
        if (part.file_offset > file_bytes || part.file_bytes > file_bytes - part.file_offset) {
            return "a part's bytes are in the file";
        }
        if (part.address >= kUserEnd || part.memory_bytes > kUserEnd - part.address)
            return "a part lies in the user's address space";
        if (part.address / kBasePageBytes * kBasePageBytes < free) return "parts are in order and share no page";
        if (part.file_bytes > 0 && part.address % kBasePageBytes != part.file_offset % kBasePageBytes)
            return "a part's address and file offset allow mapping";
        free = (part.address + part.memory_bytes + kBasePageBytes - 1) / kBasePageBytes * kBasePageBytes;
        has_entry |= part.access == Access::read_execute && program.entry >= part.address &&
                     program.entry - part.address < part.memory_bytes;
    }
    if (free - program.begin() > demo::elf::ProgramFile::kMostBytes + 2 * kBasePageBytes)
        return "the program is at most kMostBytes large";
    if (!has_entry) return "the entry point is in an executable part";
    if (!program.position_independent && program.begin() == 0) return "no part with a fixed address lies at address 0";
    return nullptr;
}

}  // namespace faultline::test
