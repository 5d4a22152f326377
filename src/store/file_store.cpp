#include "store/file_store.hpp"

#include "sys/full_transfer.hpp"

namespace faultline::store {
int FileStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    return sys::transfer_all("pread of a swap file", into.size(), [&](std::size_t done, std::size_t left) {
        return file_.read_at(into.data() + done, left, base_ + offset + done);
    });
}

int FileStore::write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    begin_extent_write(offset, from.size());
    return sys::transfer_all("pwrite of a swap file", from.size(), [&](std::size_t done, std::size_t left) {
        return file_.write_at(from.data() + done, left, base_ + offset + done);
    });
}

void FileStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    file_.punch(base_ + offset, bytes);
}

}  // namespace faultline::store
