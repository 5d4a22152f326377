// The loadable parts of an executable, as its program headers name them. Enough of ELF to draw a program, not to run
// it.
#pragma once

#include <faultline/layout.hpp>

#include <filesystem>
#include <vector>

namespace faultline::demo::anatomy {

/// The parts of a 64-bit ELF file for x86-64, in the order of their addresses, the first at the image's begin. Throws
/// std::invalid_argument for what is none, std::system_error for what cannot be read.
[[nodiscard]] std::vector<ImageSegment> image_of(const std::filesystem::path& program);

}  // namespace faultline::demo::anatomy
