// MemoryCalls: answers a program's memory system calls (brk, mmap, munmap, mprotect, madvise, msync) from the address
// space that the program runs in. It takes numbers and returns a result or a negated errno, as the kernel does. It
// makes no system call itself. Guest calls it.
#pragma once

#include <faultline/address_space.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace faultline::demo::elf {

using Arguments = std::array<std::uint64_t, 6>;

/// Used by one thread, never during a fault.
class MemoryCalls {
public:
    /// `space` must outlive this.
    explicit MemoryCalls(AddressSpace& space) noexcept : space_{space} {}

    /// Returns whether `serve` answers this system call.
    [[nodiscard]] static bool serves(long number) noexcept;

    /// Answers a system call. It differs from the kernel in three points: memory is never writable and executable
    /// (EACCES); heap and stack cannot be unmapped (EINVAL); a fixed address outside the space's two ranges has no room
    /// (ENOMEM). Throws std::bad_alloc only.
    [[nodiscard]] long serve(long number, const Arguments& arguments);

private:
    [[nodiscard]] long brk(std::uint64_t address);
    [[nodiscard]] long map(const Arguments& arguments);
    [[nodiscard]] long map_at(const Arguments& arguments, MapOptions options);
    [[nodiscard]] long unmap(std::uint64_t address, std::uint64_t bytes);
    [[nodiscard]] long protect(std::uint64_t address, std::uint64_t bytes, std::uint64_t protection);
    [[nodiscard]] long advise(std::uint64_t address, std::uint64_t bytes, std::uint64_t advice);
    [[nodiscard]] long sync(std::uint64_t address, std::uint64_t bytes, std::uint64_t flags);

    /// A range of mapped addresses in one segment.
    struct Run {
        std::uint64_t begin;
        std::uint64_t end;
    };
    /// Returns the runs in [begin, end), lowest first.
    [[nodiscard]] std::vector<Run> runs_in(std::uint64_t begin, std::uint64_t end) const;

    AddressSpace& space_;
};

}  // namespace faultline::demo::elf
