// What a static ELF program for x86-64 wants of an address space: its loadable parts, and where it begins. Reads and
// judges headers, which may say anything; maps nothing and runs nothing. run_elf and the tests call it.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

namespace faultline::demo::elf {

/// This is no program that can be run here; what() says why, to go on after the file's name: "it is ...".
class BadProgram : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// `file_bytes` of the file from `file_offset` on, at `address`, and zeros after them. Both are alike modulo 4 KiB.
struct LoadedPart {
    std::uint64_t file_offset = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t address = 0;  ///< As the program is linked.
    std::uint64_t memory_bytes = 0;
    Access access = Access::read;
};

struct ProgramFile {
    static constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;  ///< From the first part's begin to the end.

    std::vector<LoadedPart> parts;      ///< At least one, lowest first; no two touch the same page.
    bool position_independent = false;  ///< It may be anywhere, and relocates itself.
    std::uint64_t entry = 0;            ///< As linked, in a part that may be executed.
    std::uint64_t headers = 0;          ///< Where its program headers are in memory, as linked; 0: not there.
    std::uint16_t header_count = 0;

    /// The page that the first part begins in.
    [[nodiscard]] std::uint64_t begin() const noexcept {
        return parts.front().address / kBasePageBytes * kBasePageBytes;
    }
};

/// Copies what the file has from `offset` on, as far as it reaches, and returns how many bytes.
using ReadAt = std::function<std::size_t(std::uint64_t offset, std::span<std::byte> into)>;

/// Throws BadProgram, and what `read` throws.
[[nodiscard]] ProgramFile read_program(std::uint64_t file_bytes, const ReadAt& read);

/// The same of a file that is in memory.
[[nodiscard]] ProgramFile read_program(std::span<const std::byte> file);

/// The same of an open file. Throws std::system_error, too.
[[nodiscard]] ProgramFile read_program(int descriptor);

}  // namespace faultline::demo::elf
