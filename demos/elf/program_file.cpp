#include "elf/program_file.hpp"

#include "elf/user_addresses.hpp"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>

namespace faultline::demo::elf {
namespace {

constexpr std::size_t kMostHeaderBytes = 64 << 10;  // the kernel's own limit

[[noreturn]] void refuse(const std::string& why) { throw BadProgram(why); }

[[noreturn]] void refuse_part(std::size_t index, const std::string& why) {
    refuse("its program header " + std::to_string(index) + " " + why);
}

/// Returns whether [offset, offset + bytes) lies within `whole` bytes, without overflow.
bool within(std::uint64_t offset, std::uint64_t bytes, std::uint64_t whole) noexcept {
    return offset <= whole && bytes <= whole - offset;
}

std::uint64_t page_end(std::uint64_t address) noexcept { return (address + kPage - 1) / kPage * kPage; }

Elf64_Ehdr read_header(std::uint64_t file_bytes, const ReadAt& read) {
    Elf64_Ehdr header{};
    if (file_bytes < sizeof header || read(0, std::as_writable_bytes(std::span{&header, 1})) != sizeof header) {
        refuse("it is too short to be an ELF file");
    }
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) refuse("it is no ELF file");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64) {
        refuse("it is not for x86-64");
    }
    if (header.e_ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT) {
        refuse("it is of an unknown version of ELF");
    }
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) refuse("it is an object file or a core, no program");
    return header;
}

std::vector<Elf64_Phdr> read_program_headers(const Elf64_Ehdr& file, std::uint64_t file_bytes, const ReadAt& read) {
    if (file.e_phentsize != sizeof(Elf64_Phdr)) refuse("its program headers are not of the known size");
    if (file.e_phnum == 0) refuse("it has no program headers");
    const std::size_t bytes = file.e_phnum * sizeof(Elf64_Phdr);
    if (bytes > kMostHeaderBytes) refuse("it has more program headers than any program");
    if (!within(file.e_phoff, bytes, file_bytes)) refuse("its program headers lie beyond its end");
    std::vector<Elf64_Phdr> headers(file.e_phnum);
    if (read(file.e_phoff, std::as_writable_bytes(std::span{headers})) != bytes) {
        refuse("its program headers cannot be read");
    }
    return headers;
}

Access access_of(const Elf64_Phdr& header, std::size_t index) {
    const bool write = (header.p_flags & PF_W) != 0;
    const bool execute = (header.p_flags & PF_X) != 0;
    if (write && execute) refuse_part(index, "asks for memory that is writable and executable, which is not supported");
    if (write) return Access::read_write;
    if (execute) return Access::read_execute;
    if ((header.p_flags & PF_R) == 0) refuse_part(index, "asks for memory without read access, which is not supported");
    return Access::read;
}

LoadedPart part_of(const Elf64_Phdr& header, std::size_t index, std::uint64_t file_bytes) {
    const LoadedPart part{header.p_offset, header.p_filesz, header.p_vaddr, header.p_memsz, access_of(header, index)};
    if (part.file_bytes > part.memory_bytes) refuse_part(index, "has more bytes in the file than in memory");
    if (!within(part.file_offset, part.file_bytes, file_bytes)) refuse_part(index, "names bytes beyond the file's end");
    if (!within(part.address, part.memory_bytes, kUserEnd))
        refuse_part(index, "has addresses outside the user address space");
    if (part.file_bytes > 0 && part.address % kPage != part.file_offset % kPage) {
        refuse_part(index, "has an address and a place in the file that differ modulo 4 KiB");
    }
    if (part.file_bytes > 0 && part.memory_bytes > part.file_bytes && part.access != Access::read_write) {
        refuse_part(index, "asks for zeros after the file's bytes in memory that is not writable");
    }
    return part;
}

void append(std::vector<LoadedPart>& parts, const LoadedPart& part, std::size_t index) {
    if (!parts.empty()) {
        const LoadedPart& before = parts.back();
        if (part.address < before.address) refuse_part(index, "is out of order: parts go up in memory");
        if (part.address / kPage * kPage < page_end(before.address + before.memory_bytes)) {
            refuse_part(index, "overlaps the part before it, or shares a page with it");
        }
        if (part.address + part.memory_bytes - parts.front().address > ProgramFile::kMostBytes) {
            refuse_part(index, "makes it span more than 1 TiB");
        }
    } else if (part.memory_bytes > ProgramFile::kMostBytes) {
        refuse_part(index, "is larger than 1 TiB");
    }
    parts.push_back(part);
}

bool is_executable_at(const ProgramFile& program, std::uint64_t address) noexcept {
    return std::any_of(program.parts.begin(), program.parts.end(), [&](const LoadedPart& part) {
        return part.access == Access::read_execute && address >= part.address &&
               address - part.address < part.memory_bytes;
    });
}

/// Returns the address in memory of a range of file bytes; nothing if no part contains all of it.
std::optional<std::uint64_t> address_of(const ProgramFile& program, std::uint64_t offset,
                                        std::uint64_t bytes) noexcept {
    for (const LoadedPart& part : program.parts) {
        if (offset >= part.file_offset && within(offset - part.file_offset, bytes, part.file_bytes)) {
            return part.address + (offset - part.file_offset);
        }
    }
    return std::nullopt;
}

}  // namespace

ProgramFile read_program(std::uint64_t file_bytes, const ReadAt& read) {
    const Elf64_Ehdr file = read_header(file_bytes, read);
    const std::vector<Elf64_Phdr> headers = read_program_headers(file, file_bytes, read);
    ProgramFile program;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        if (headers[i].p_type == PT_INTERP) refuse("it is linked dynamically: only static programs run here");
        if (headers[i].p_type != PT_LOAD || headers[i].p_memsz == 0) continue;
        append(program.parts, part_of(headers[i], i, file_bytes), i);
    }
    if (program.parts.empty()) refuse("it has nothing to load");
    program.position_independent = file.e_type == ET_DYN;
    if (!program.position_independent && program.begin() == 0) refuse("it is linked for address 0");
    program.entry = file.e_entry;
    if (!is_executable_at(program, program.entry)) refuse("it begins at an address that has no code");
    program.header_count = file.e_phnum;
    program.headers = address_of(program, file.e_phoff, headers.size() * sizeof(Elf64_Phdr)).value_or(0);
    return program;
}

ProgramFile read_program(std::span<const std::byte> file) {
    return read_program(file.size(), [file](std::uint64_t offset, std::span<std::byte> into) -> std::size_t {
        if (offset >= file.size()) return 0;
        const auto from = file.subspan(offset, std::min<std::uint64_t>(into.size(), file.size() - offset));
        std::copy(from.begin(), from.end(), into.begin());
        return from.size();
    });
}

ProgramFile read_program(int descriptor) {
    struct stat found {};
    if (::fstat(descriptor, &found) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot read its attributes");
    if (!S_ISREG(found.st_mode)) refuse("it is no regular file");
    return read_program(
        static_cast<std::uint64_t>(found.st_size), [descriptor](std::uint64_t offset, std::span<std::byte> into) {
            std::size_t done = 0;
            while (done < into.size()) {
                const ssize_t got =
                    ::pread(descriptor, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
                if (got < 0 && errno == EINTR) continue;
                if (got < 0) throw std::system_error(errno, std::generic_category(), "cannot read it");
                if (got == 0) break;
                done += static_cast<std::size_t>(got);
            }
            return done;
        });
}

}  // namespace faultline::demo::elf
