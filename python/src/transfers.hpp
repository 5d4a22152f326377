// Reads and writes whole ranges through faultline::io, which pins managed memory piece by piece.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace faultline::python {

/// Writes all bytes at `offset` of the file, or where the descriptor stands. Throws std::system_error. Runs the
/// program's signal handlers between pieces, and throws what they raise.
void write_all(int descriptor, std::uintptr_t address, std::size_t bytes, std::optional<std::int64_t> offset);

/// Reads at `offset` until the range is full or the file ends. Returns the number of bytes. Throws as `write_all`.
std::size_t read_all(int descriptor, std::uintptr_t address, std::size_t bytes, std::int64_t offset);

}  // namespace faultline::python
