#include "preload/static_program/program_image.hpp"

#include "core/units.hpp"
#include "sys/error.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace faultline::preload {
namespace {

using core::AddressRange;

constexpr std::uint64_t kHighestAddress = std::uint64_t{1} << 47;
constexpr std::size_t kMostHeaders = 1024;

void read_fully(int file, void* into, std::size_t bytes, std::uint64_t offset) {
    auto* to = static_cast<std::byte*>(into);
    while (bytes > 0) {
        const ssize_t got = ::pread(file, to, bytes, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) sys::throw_error(errno, "cannot read the program");
        if (got == 0) throw std::runtime_error("the program's file is shorter than its headers say");
        to += got;
        bytes -= static_cast<std::size_t>(got);
        offset += static_cast<std::uint64_t>(got);
    }
}

int protection_of(const Elf64_Phdr& segment) noexcept {
    return ((segment.p_flags & PF_R) != 0 ? PROT_READ : 0) | ((segment.p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
           ((segment.p_flags & PF_X) != 0 ? PROT_EXEC : 0);
}

void map_fixed(std::uint64_t begin, std::uint64_t end, int protection, int flags, int file, std::uint64_t offset) {
    if (begin >= end) return;
    void* const wanted = core::pointer_to(begin);
    void* const mapped = ::mmap(wanted, end - begin, protection, MAP_PRIVATE | flags, file, static_cast<off_t>(offset));
    if (mapped == MAP_FAILED) sys::throw_error(errno, "cannot map a segment of the program");
    if (mapped != wanted) sys::throw_error(EEXIST, "another mapping has the addresses of the program");
}

bool is_loaded(const Elf64_Phdr& segment) noexcept { return segment.p_type == PT_LOAD && segment.p_memsz > 0; }

}  // namespace

ProgramImage::ProgramImage(int file) {
    read_headers(file);
    choose_base();
    for (const Elf64_Phdr& segment : headers_) {
        if (is_loaded(segment)) map(file, segment);
    }
    find_headers();
}

void ProgramImage::read_headers(int file) {
    read_fully(file, &header_, sizeof header_, 0);
    const bool right = std::memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0 && header_.e_ident[EI_CLASS] == ELFCLASS64 &&
                       header_.e_machine == EM_X86_64 && header_.e_phentsize == sizeof(Elf64_Phdr) &&
                       (header_.e_type == ET_EXEC || header_.e_type == ET_DYN) && header_.e_phnum <= kMostHeaders;
    if (!right) throw std::runtime_error("not a program for x86-64");
    headers_.resize(header_.e_phnum);
    read_fully(file, headers_.data(), headers_.size() * sizeof(Elf64_Phdr), header_.e_phoff);
    if (std::ranges::any_of(headers_, [](const Elf64_Phdr& each) { return each.p_type == PT_INTERP; })) {
        throw std::runtime_error("not a static program: it names a dynamic loader");
    }
}

/// Returns the addresses that the segments occupy, before they are moved by the base.
AddressRange ProgramImage::span() const {
    AddressRange span{UINT64_MAX, 0};
    for (const Elf64_Phdr& segment : headers_) {
        if (!is_loaded(segment)) continue;
        const std::uint64_t end = segment.p_vaddr + segment.p_memsz;
        if (segment.p_filesz > segment.p_memsz || segment.p_vaddr >= kHighestAddress || end > kHighestAddress ||
            (segment.p_vaddr - segment.p_offset) % core::kUnitBytes != 0) {
            throw std::runtime_error("the program's segments are invalid");
        }
        span.begin = std::min(span.begin, core::align_down(segment.p_vaddr, core::kUnitBytes));
        span.end = std::max(span.end, core::align_up(end, core::kUnitBytes));
    }
    if (span.empty()) throw std::runtime_error("the program has no segments");
    return span;
}

/// Reserves the addresses of a position-independent program, with the alignment of its segments.
void ProgramImage::choose_base() {
    const AddressRange wanted = span();
    if (header_.e_type == ET_EXEC) {
        // Refuses addresses that are in use; the segments then replace this mapping.
        map_fixed(wanted.begin, wanted.end, PROT_NONE, MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        return;
    }
    std::uint64_t alignment = core::kUnitBytes;
    for (const Elf64_Phdr& segment : headers_) {
        if (is_loaded(segment) && std::has_single_bit(segment.p_align)) {
            alignment = std::max<std::uint64_t>(alignment, segment.p_align);
        }
    }
    const std::uint64_t bytes = wanted.bytes() + 2 * alignment;
    void* const room = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) sys::throw_error(errno, "no addresses for the program");
    base_ = core::align_up(core::address_of(room), alignment) - core::align_down(wanted.begin, alignment);
}

void ProgramImage::map(int file, const Elf64_Phdr& segment) const {
    const int protection = protection_of(segment);
    const std::uint64_t begin = core::align_down(base_ + segment.p_vaddr, core::kUnitBytes);
    const std::uint64_t file_end = base_ + segment.p_vaddr + segment.p_filesz;
    const std::uint64_t end = core::align_up(base_ + segment.p_vaddr + segment.p_memsz, core::kUnitBytes);
    const std::uint64_t zeros = segment.p_filesz > 0 ? core::align_up(file_end, core::kUnitBytes) : begin;
    map_fixed(begin, zeros, protection, MAP_FIXED, file, core::align_down(segment.p_offset, core::kUnitBytes));
    map_fixed(zeros, end, protection, MAP_FIXED | MAP_ANONYMOUS, -1, 0);
    // The kernel, too, clears the rest of the last page of the file only if the program may write to it.
    if (segment.p_memsz > segment.p_filesz && zeros > file_end && (segment.p_flags & PF_W) != 0) {
        std::memset(core::pointer_to(file_end), 0, zeros - file_end);
    }
}

void ProgramImage::find_headers() noexcept {
    for (const Elf64_Phdr& segment : headers_) {
        if (segment.p_type == PT_PHDR) headers_at_ = base_ + segment.p_vaddr;
        if (headers_at_ == 0 && is_loaded(segment) && header_.e_phoff - segment.p_offset < segment.p_filesz) {
            headers_at_ = base_ + segment.p_vaddr + header_.e_phoff - segment.p_offset;
        }
    }
}

}  // namespace faultline::preload
