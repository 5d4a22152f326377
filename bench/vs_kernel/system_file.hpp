// Reads and writes the small text files of Linux (/proc, /sys, cgroups).
#pragma once

#include <string>

namespace bench {

/// Returns the file's text without the final newline. Throws std::system_error, naming the file.
std::string read_system_file(const std::string& path);

/// Writes `text` with one write(2), as these files require. Throws std::system_error, naming file and text.
void write_system_file(const std::string& path, const std::string& text);

}  // namespace bench
