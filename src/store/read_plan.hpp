// ReadPlan: the reads from files that bring in the bytes of several pages. Stores add to it (BackingStore::plan_read);
// ReadRings, or AsyncReader, reads.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "store/slot_device.hpp"

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
    const SlotDevice* device = nullptr;  ///< Of a device without a descriptor.
};

class ReadPlan {
public:
    /// One for each 4 KiB of the largest read.
    static constexpr std::size_t kMostReads = 16;
    static constexpr std::size_t kMostBytes = kMostReads * core::kUnitBytes;

    /// Adds a read. It is made part of the last one if it continues that, in the file and in memory.
    void add(int fd, FileEnd end, std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
        add({fd, end, offset, into, nullptr});
    }
    void add(const SlotDevice& device, std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
        const int fd = device.fd();
        add({fd, FileEnd::never, offset, into, fd < 0 ? &device : nullptr});
    }

    [[nodiscard]] std::span<const FileRead> reads() const noexcept { return {reads_.data(), count_}; }

private:
    void add(const FileRead& next) FAULTLINE_SIGNAL_SAFE {
        if (count_ > 0 && continues(reads_[count_ - 1], next)) {
            std::span<std::byte>& last = reads_[count_ - 1].into;
            last = {last.data(), last.size() + next.into.size()};
        } else {
            FAULTLINE_INVARIANT(count_ < kMostReads);
            reads_[count_++] = next;
        }
    }
    static bool continues(const FileRead& last, const FileRead& next) noexcept {
        return last.fd == next.fd && last.device == next.device && last.offset + last.into.size() == next.offset &&
               last.into.data() + last.into.size() == next.into.data();
    }

    std::array<FileRead, kMostReads> reads_;
    std::size_t count_ = 0;
};

}  // namespace faultline::store
