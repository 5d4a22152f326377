// The small text files through which Linux is asked and told things (/proc, /sys, cgroups).
#pragma once

#include <string>

namespace bench {

/// The file's text without the newline at its end. Throws std::system_error, naming the file.
std::string read_system_file(const std::string& path);

/// Writes `text` in one write(2), as these files want it. Throws std::system_error, naming file and text.
void write_system_file(const std::string& path, const std::string& text);

}  // namespace bench
