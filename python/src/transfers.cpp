#include "transfers.hpp"

#include <faultline/io.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace faultline::python {
namespace {

namespace py = pybind11;

/// The most bytes of one call. faultline::io limits managed memory by itself; other memory must not keep the program
/// from its signals for long, either.
constexpr std::size_t kPieceBytes = std::size_t{16} << 20;

/// Calls `transfer` until all is done or it returns 0. Returns the number of bytes.
template <typename Transfer>
std::size_t repeat(std::size_t bytes, const char* what, Transfer transfer) {
    std::size_t done = 0;
    while (done < bytes) {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        std::ptrdiff_t moved = 0;
        int error = 0;
        {
            const py::gil_scoped_release released;
            moved = transfer(done, std::min(kPieceBytes, bytes - done));
            error = errno;
        }
        if (moved == 0) break;
        if (moved > 0) {
            done += static_cast<std::size_t>(moved);
        } else if (error != EINTR) {
            throw std::system_error(error, std::generic_category(), what);
        }
    }
    return done;
}

}  // namespace

void write_all(int descriptor, std::uintptr_t address, std::size_t bytes, std::optional<std::int64_t> offset) {
    const auto* const from = reinterpret_cast<const std::byte*>(address);
    const std::size_t written = repeat(bytes, "cannot write the array", [&](std::size_t done, std::size_t piece) {
        if (!offset) return io::write(descriptor, from + done, piece);
        return io::pwrite(descriptor, from + done, piece, *offset + static_cast<std::int64_t>(done));
    });
    if (written < bytes) throw std::system_error(ENOSPC, std::generic_category(), "cannot write the array");
}

std::size_t read_all(int descriptor, std::uintptr_t address, std::size_t bytes, std::int64_t offset) {
    auto* const to = reinterpret_cast<std::byte*>(address);
    return repeat(bytes, "cannot read into the array", [&](std::size_t done, std::size_t piece) {
        return io::pread(descriptor, to + done, piece, offset + static_cast<std::int64_t>(done));
    });
}

}  // namespace faultline::python
