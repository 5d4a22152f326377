// A file without a name, so that it needs no removing, with all its blocks allotted, as those of a swap file are.
#pragma once

#include <cstddef>
#include <filesystem>

#include "support/file_descriptor.hpp"

namespace bench {

/// Opens one of `bytes` zeros in `directory`; `flags` are open(2)'s beside O_RDWR. Throws std::system_error, naming the
/// directory.
FileDescriptor open_unnamed_file(const std::filesystem::path& directory, std::size_t bytes, int flags);

}  // namespace bench
