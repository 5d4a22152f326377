// What whoever loads a program relies on, whatever its file says.
#pragma once

#include "elf/program_file.hpp"

#include <cstdint>

namespace faultline::test {

/// What does not hold of a program that was read from a file of so many bytes; null: all does.
inline const char* unsound(const demo::elf::ProgramFile& program, std::uint64_t file_bytes) {
    constexpr std::uint64_t kPage = kBasePageBytes;
    constexpr std::uint64_t kUserEnd = std::uint64_t{1} << 47;
    if (program.parts.empty()) return "it has parts";
    std::uint64_t free = 0;  // the first page that the next part may have
    bool has_entry = false;
    for (const demo::elf::LoadedPart& part : program.parts) {
        if (part.memory_bytes == 0) return "a part has memory";
        if (part.file_bytes > part.memory_bytes) return "a part has room for its bytes";
        if (part.file_offset > file_bytes || part.file_bytes > file_bytes - part.file_offset) {
            return "a part is in the file";
        }
        if (part.address >= kUserEnd || part.memory_bytes > kUserEnd - part.address) return "a part is a program's";
        if (part.address / kPage * kPage < free) return "parts go up, each on pages of its own";
        if (part.file_bytes > 0 && part.address % kPage != part.file_offset % kPage) return "pages can be mapped";
        free = (part.address + part.memory_bytes + kPage - 1) / kPage * kPage;
        has_entry |= part.access == Access::read_execute && program.entry >= part.address &&
                     program.entry - part.address < part.memory_bytes;
    }
    if (free - program.begin() > demo::elf::ProgramFile::kMostBytes + 2 * kPage) return "it is not too large";
    if (!has_entry) return "it begins in its text";
    if (!program.position_independent && program.begin() == 0) return "address 0 is nobody's";
    return nullptr;
}

}  // namespace faultline::test
