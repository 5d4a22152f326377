// ProgramImage: the segments of a static program, mapped as the kernel maps them: at the program's addresses, or at an
// address that the kernel chooses if the program is position-independent. It maps no stack and starts nothing.
#pragma once

#include "core/address_range.hpp"

#include <elf.h>

#include <cstdint>
#include <vector>

namespace faultline::preload {

class ProgramImage {
public:
    /// Maps the program in `file`, an open descriptor. Throws std::runtime_error if the file is not a static program
    /// for x86-64, std::system_error if it cannot be read or mapped. What was mapped before an error stays mapped.
    explicit ProgramImage(int file);

    [[nodiscard]] std::uint64_t entry() const noexcept { return base_ + header_.e_entry; }
    [[nodiscard]] std::uint64_t program_headers() const noexcept { return headers_at_; }
    [[nodiscard]] std::uint64_t program_header_count() const noexcept { return headers_.size(); }

private:
    void read_headers(int file);
    [[nodiscard]] core::AddressRange span() const;
    void choose_base();
    void map(int file, const Elf64_Phdr& segment) const;
    void find_headers() noexcept;

    Elf64_Ehdr header_{};
    std::vector<Elf64_Phdr> headers_;
    std::uint64_t base_ = 0;
    std::uint64_t headers_at_ = 0;
};

}  // namespace faultline::preload
