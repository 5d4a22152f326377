// A program's system calls for memory, answered by the address space that it runs in: brk, mmap, munmap, mprotect,
// madvise, msync. Numbers in, a result or a negated errno out, as the kernel would have it; no call is made here.
#pragma once

#include <faultline/address_space.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace faultline::demo::elf {

using Arguments = std::array<std::uint64_t, 6>;

/// Used by one thread, which is not that of a fault.
class MemoryCalls {
public:
    /// `space` must live as long.
    explicit MemoryCalls(AddressSpace& space) noexcept : space_{space} {}

    /// Whether `serve` answers this system call.
    [[nodiscard]] static bool serves(long number) noexcept;

    /// What differs from the kernel's: memory is never writable and executable (EACCES), heap and stack are not
    /// unmapped (EINVAL), and at a fixed address outside the space's two ranges there is no room (ENOMEM). Throws
    /// nothing but std::bad_alloc.
    [[nodiscard]] long serve(long number, const Arguments& arguments);

private:
    [[nodiscard]] long brk(std::uint64_t address);
    [[nodiscard]] long map(const Arguments& arguments);
    [[nodiscard]] long map_at(const Arguments& arguments, MapOptions options);
    [[nodiscard]] long unmap(std::uint64_t address, std::uint64_t bytes);
    [[nodiscard]] long protect(std::uint64_t address, std::uint64_t bytes, std::uint64_t protection);
    [[nodiscard]] long advise(std::uint64_t address, std::uint64_t bytes, std::uint64_t advice);
    [[nodiscard]] long sync(std::uint64_t address, std::uint64_t bytes, std::uint64_t flags);

    /// A run of addresses that are mapped, in one segment.
    struct Run {
        std::uint64_t begin;
        std::uint64_t end;
    };
    /// Those in [begin, end), lowest first.
    [[nodiscard]] std::vector<Run> runs_in(std::uint64_t begin, std::uint64_t end) const;

    AddressSpace& space_;
};

}  // namespace faultline::demo::elf
