// Reads the loadable parts of an executable from its program headers, for anatomy. It is enough of ELF to draw a
// program, not to run it: elf/program_file.hpp is for that.
#pragma once

#include <faultline/layout.hpp>

#include <filesystem>
#include <vector>

namespace faultline::demo::anatomy {

/// Returns the parts of a 64-bit ELF file for x86-64 in order of address; the first is at the image's begin. Throws
/// std::invalid_argument if the file is not such a program, std::system_error if it cannot be read.
[[nodiscard]] std::vector<ImageSegment> image_of(const std::filesystem::path& program);

}  // namespace faultline::demo::anatomy
