// ReadPlan: the reads from files that bring in the bytes of several pages. Stores add to it (BackingStore::plan_read);
// ReadRings, or AsyncReader, reads.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Whether a file may end before the last byte that is read.
enum class FileEnd : std::uint8_t {
    never,    ///< A swap file.
    in_page,  ///< A file of the program: as for mmap(2), zeros follow in the page in which it ends.
};

struct FileRead {
    int fd = -1;
    FileEnd end = FileEnd::never;
    std::uint64_t offset = 0;
    std::span<std::byte> into{};
};

class ReadPlan {
public:
    /// One for each 4 KiB of the largest read.
    static constexpr std::size_t kMostReads = 16;
    static constexpr std::size_t kMostBytes = kMostReads * core::kUnitBytes;

    /// Adds a read. It is made part of the last one if it continues that, in the file and in memory.
    void add(int fd, FileEnd end, std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
        if (count_ > 0 && continues(reads_[count_ - 1], fd, offset, into)) {
            std::span<std::byte>& last = reads_[count_ - 1].into;
            last = {last.data(), last.size() + into.size()};
        } else {
            FAULTLINE_INVARIANT(count_ < kMostReads);
            reads_[count_++] = {fd, end, offset, into};
        }
    }

    [[nodiscard]] std::span<const FileRead> reads() const noexcept { return {reads_.data(), count_}; }

private:
    static bool continues(const FileRead& last, int fd, std::uint64_t offset, std::span<std::byte> into) noexcept {
        return last.fd == fd && last.offset + last.into.size() == offset &&
               last.into.data() + last.into.size() == into.data();
    }

    std::array<FileRead, kMostReads> reads_;
    std::size_t count_ = 0;
};

}  // namespace faultline::store
