// Opens a file without a name, which needs no removal. All its blocks are allocated, as those of a swap file are.
#pragma once

#include <cstddef>
#include <filesystem>

#include "sys/file_descriptor.hpp"

namespace bench {

/// Opens a file of `bytes` zeros in `directory`. `flags` are open(2)'s, in addition to O_RDWR. Throws
/// std::system_error, naming the directory.
faultline::sys::FileDescriptor open_unnamed_file(const std::filesystem::path& directory, std::size_t bytes, int flags);

}  // namespace bench
