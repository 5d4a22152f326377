// open, read or write, close.
#include "vs_kernel/system_file.hpp"

#include <fcntl.h>

#include <array>

#include "support/system_call.hpp"
#include "sys/file_descriptor.hpp"

namespace bench {

std::string read_system_file(const std::string& path) {
    const faultline::sys::FileDescriptor file{check(::open(path.c_str(), O_RDONLY | O_CLOEXEC), path)};
    std::string text;
    std::array<char, 4096> buffer{};
    while (const ssize_t bytes = check(::read(file.get(), buffer.data(), buffer.size()), path)) {
        text.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

void write_system_file(const std::string& path, const std::string& text) {
    const faultline::sys::FileDescriptor file{check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path)};
    check(::write(file.get(), text.data(), text.size()), "write of '" + text + "' to " + path);
}

}  // namespace bench
