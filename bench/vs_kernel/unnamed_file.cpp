// O_TMPFILE and fallocate(2).
#include "vs_kernel/unnamed_file.hpp"

#include <fcntl.h>

#include <string>

#include "support/system_call.hpp"

namespace bench {

faultline::sys::FileDescriptor open_unnamed_file(const std::filesystem::path& directory, std::size_t bytes, int flags) {
    const std::string place = directory.string();
    faultline::sys::FileDescriptor file{check(::open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600),
                                              "open of an unnamed file in " + place)};
    check(::ftruncate(file.get(), static_cast<off_t>(bytes)), "ftruncate in " + place);
    if (::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) == -1 && errno != EOPNOTSUPP) {
        throw_errno("fallocate of " + std::to_string(bytes) + " bytes in " + place);
    }
    return file;
}

}  // namespace bench
