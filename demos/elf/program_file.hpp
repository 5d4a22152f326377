// Reads and checks the headers of a static ELF program for x86-64: its loadable parts and its entry. Headers may be
// malformed or hostile. It maps nothing and runs nothing. run_elf and the tests call it.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

namespace faultline::demo::elf {

/// Thrown for a file that cannot be run. what() is the reason, to print after the file's name: "it is ...".
class BadProgram : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A part of the program: `file_bytes` bytes of the file from `file_offset` on, at `address`, followed by zeros up to
/// `memory_bytes`. `address` and `file_offset` are equal modulo 4 KiB.
struct LoadedPart {
    std::uint64_t file_offset = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t address = 0;  ///< As linked.
    std::uint64_t memory_bytes = 0;
    Access access = Access::read;
};

/// What the headers say, checked.
struct ProgramFile {
    static constexpr std::uint64_t kMostBytes = std::uint64_t{1}
                                                << 40;  ///< The most bytes from the first part's begin to the end.

    std::vector<LoadedPart> parts;      ///< At least one, lowest first; no two share a page.
    bool position_independent = false;  ///< It runs at any address, and relocates itself.
    std::uint64_t entry = 0;            ///< Address of the first instruction, as linked, in an executable part.
    std::uint64_t headers = 0;  ///< Address of the program headers in memory, as linked; 0: they are not in memory.
    std::uint16_t header_count = 0;

    /// Returns the address of the page in which the first part begins.
    [[nodiscard]] std::uint64_t begin() const noexcept {
        return parts.front().address / kBasePageBytes * kBasePageBytes;
    }
};

/// Copies the file's bytes from `offset` on into a buffer, up to the end of the file. Returns the number of bytes.
using ReadAt = std::function<std::size_t(std::uint64_t offset, std::span<std::byte> into)>;

/// Reads and checks the headers. Throws BadProgram, and what `read` throws.
[[nodiscard]] ProgramFile read_program(std::uint64_t file_bytes, const ReadAt& read);

/// Reads and checks the headers of a file in memory. Throws BadProgram.
[[nodiscard]] ProgramFile read_program(std::span<const std::byte> file);

/// Reads and checks the headers of an open file. Throws BadProgram, std::system_error.
[[nodiscard]] ProgramFile read_program(int descriptor);

}  // namespace faultline::demo::elf
