#include "store/file_store.hpp"

#include "sys/transient.hpp"

#include <cerrno>

namespace faultline::store {
namespace {

constexpr int kDeviceErrorRetries = 3;

/// Repeats `transfer(done, left)` until `total` bytes are transferred. Waits out transient errors and retries device
/// errors a few times. A transfer of 0 bytes is an error: the swap file is too short, so the page is lost.
template <typename Transfer>
int transfer_all(const char* call, std::size_t total, Transfer transfer) FAULTLINE_SIGNAL_SAFE {
    std::size_t done = 0;
    int device_errors = 0;
    sys::TransientWait wait{call};
    while (done < total) {
        const long result = transfer(done, total - done);
        if (result > 0) {
            done += static_cast<std::size_t>(result);
        } else if (result == 0) {
            return EIO;
        } else if (result == -EIO && device_errors < kDeviceErrorRetries) {
            ++device_errors;
        } else if (!wait.again(static_cast<int>(-result))) {
            return static_cast<int>(-result);
        }
    }
    return 0;
}

}  // namespace

int FileStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    return transfer_all("pread of a swap file", into.size(), [&](std::size_t done, std::size_t left) {
        return file_.read_at(into.data() + done, left, base_ + offset + done);
    });
}

int FileStore::write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    begin_extent_write(offset, from.size());
    return transfer_all("pwrite of a swap file", from.size(), [&](std::size_t done, std::size_t left) {
        return file_.write_at(from.data() + done, left, base_ + offset + done);
    });
}

void FileStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    file_.punch(base_ + offset, bytes);
}

}  // namespace faultline::store
