#include "anatomy/executable.hpp"

#include "support/files.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

namespace faultline::demo::anatomy {
namespace {

// In all known executables the program headers follow the first header directly.
constexpr std::size_t kHeadBytes = 64 << 10;

std::vector<std::byte> head_of(const std::filesystem::path& program) {
    InputFile file{program};
    std::vector<std::byte> head(std::min<std::uint64_t>(file.size(), kHeadBytes));
    for (std::size_t got = 0; got < head.size();) {
        const std::size_t more = file.read(std::span{head}.subspan(got));
        if (more == 0) break;
        got += more;
    }
    return head;
}

template <typename T>
T at(const std::vector<std::byte>& bytes, std::uint64_t offset) {
    T value;
    if (offset > bytes.size() || bytes.size() - offset < sizeof value) {
        throw std::invalid_argument("the program headers are not within the first 64 KiB of the executable");
    }
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

ImageSegment segment_of(const Elf64_Phdr& header, const std::filesystem::path& program, bool before_text) {
    ImageSegment part;
    part.file = program;
    part.file_offset = header.p_offset;
    part.file_bytes = header.p_filesz;
    part.address = header.p_vaddr;
    part.memory_bytes = header.p_memsz;
    if ((header.p_flags & PF_W) != 0) {
        part.name = "data";
        part.access = Access::read_write;
    } else if ((header.p_flags & PF_X) != 0) {
        part.name = "text";
        part.access = Access::read_execute;
    } else {
        part.name = before_text ? "headers" : "constants";
        part.access = Access::read;
    }
    return part;
}

}  // namespace

std::vector<ImageSegment> image_of(const std::filesystem::path& program) {
    const std::vector<std::byte> head = head_of(program);
    const auto file = at<Elf64_Ehdr>(head, 0);
    if (std::memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 || file.e_ident[EI_CLASS] != ELFCLASS64 ||
        file.e_machine != EM_X86_64 || file.e_phentsize != sizeof(Elf64_Phdr)) {
        throw std::invalid_argument("'" + program.string() + "' is no executable for x86-64");
    }
    std::vector<ImageSegment> image;
    bool before_text = true;
    for (std::size_t i = 0; i < file.e_phnum; ++i) {
        const auto header = at<Elf64_Phdr>(head, file.e_phoff + i * sizeof(Elf64_Phdr));
        if (header.p_type != PT_LOAD || header.p_memsz == 0) continue;
        image.push_back(segment_of(header, program, before_text));
        before_text &= (header.p_flags & PF_X) == 0;
    }
    if (image.empty()) throw std::invalid_argument("'" + program.string() + "' has nothing to load");
    const std::uint64_t begin = image.front().address / kBasePageBytes * kBasePageBytes;
    for (ImageSegment& part : image) part.address -= begin;
    return image;
}

}  // namespace faultline::demo::anatomy
