// UnmanagedProgram: a program under `faultline run` that the preloaded library could not enter, as a value that fits
// into memory that processes share.
// Written by the preload, read by the command.
#pragma once

#include "run/program_file.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace faultline::run {

struct UnmanagedProgram {
    Obstacle obstacle = Obstacle::none;
    std::array<char, 40> name{};  ///< The last part of its path, cut to 39 bytes, ended by zeros.

    bool operator==(const UnmanagedProgram&) const = default;
};

/// Makes the value. Signal-safe.
[[nodiscard]] UnmanagedProgram unmanaged_program(std::string_view path, Obstacle obstacle) noexcept;

}  // namespace faultline::run
