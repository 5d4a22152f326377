// MadeElf: an ELF file of a small program. A test can change every field before it takes the bytes.
#pragma once

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace faultline::test {

/// Constructed as a valid program: headers, text, and data followed by zeros.
struct MadeElf {
    static constexpr std::uint64_t kBase = 0x400000;
    static constexpr std::uint64_t kPage = 4096;

    MadeElf() {
        std::memcpy(file.e_ident, ELFMAG, SELFMAG);
        file.e_ident[EI_CLASS] = ELFCLASS64;
        file.e_ident[EI_DATA] = ELFDATA2LSB;
        file.e_ident[EI_VERSION] = EV_CURRENT;
        file.e_type = ET_EXEC;
        file.e_machine = EM_X86_64;
        file.e_version = EV_CURRENT;
        file.e_entry = kBase + kPage + 16;
        file.e_phoff = sizeof file;
        file.e_ehsize = sizeof file;
        file.e_phentsize = sizeof(Elf64_Phdr);
        headers = {load(PF_R, 0, kBase, 512, 512), load(PF_R | PF_X, kPage, kBase + kPage, 1000, 1000),
                   load(PF_R | PF_W, 2 * kPage + 128, kBase + 2 * kPage + 128, 256, 3 * kPage)};
        headers.push_back({});
        headers.back().p_type = PT_GNU_STACK;
    }

    static Elf64_Phdr load(std::uint32_t flags, std::uint64_t offset, std::uint64_t address, std::uint64_t file_bytes,
                           std::uint64_t memory_bytes) {
        Elf64_Phdr header{};
        header.p_type = PT_LOAD;
        header.p_flags = flags;
        header.p_offset = offset;
        header.p_vaddr = header.p_paddr = address;
        header.p_filesz = file_bytes;
        header.p_memsz = memory_bytes;
        header.p_align = kPage;
        return header;
    }

    [[nodiscard]] std::vector<std::byte> bytes() const {
        std::vector<std::byte> all(size);
        Elf64_Ehdr head = file;
        if (count_headers) head.e_phnum = static_cast<std::uint16_t>(headers.size());
        put(all, 0, &head, sizeof head);
        put(all, sizeof head, headers.data(), headers.size() * sizeof(Elf64_Phdr));
        return all;
    }

    Elf64_Ehdr file{};
    std::vector<Elf64_Phdr> headers;
    bool count_headers = true;  // bytes() sets e_phnum to the number of headers
    std::size_t size = 2 * kPage + 1024;

private:
    static void put(std::vector<std::byte>& all, std::size_t at, const void* from, std::size_t bytes) {
        if (at < all.size()) std::memcpy(all.data() + at, from, std::min(bytes, all.size() - at));
    }
};

}  // namespace faultline::test
