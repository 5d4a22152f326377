// A library that is preloaded behind faultline's and interposes write(2), too: it writes capitals.

#include <dlfcn.h>
#include <sys/types.h>

#include <cctype>
#include <cstddef>

// NOLINTBEGIN: the C library's name and signature
extern "C" ssize_t write(int fd, const void* buffer, size_t bytes) {
    static auto* const next = reinterpret_cast<ssize_t (*)(int, const void*, size_t)>(dlsym(RTLD_NEXT, "write"));
    char capitals[64];
    if (bytes > sizeof capitals) return next(fd, buffer, bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
        capitals[i] = static_cast<char>(std::toupper(static_cast<const unsigned char*>(buffer)[i]));
    }
    return next(fd, &capitals[0], bytes);
}
// NOLINTEND
