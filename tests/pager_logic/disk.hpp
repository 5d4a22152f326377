// Disk: a store in memory that is as atomic as a disk, 4 KiB at a time. Reading ahead may read what another thread is
// writing, and does not use it. It fails as often as it is told.
#pragma once

#include "bytes.hpp"
#include "chance.hpp"
#include "core/units.hpp"
#include "store/backing_store.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <utility>

namespace faultline::test {

/// How often calls fail: one in so many; 0: never.
struct DiskFailures {
    unsigned reads = 0;
    unsigned writes = 0;
};

class Disk final : public store::BackingStore {
public:
    Disk(DiskFailures failures, std::uint64_t bytes)
        : failures_{failures}, sectors_{std::make_unique<Sector[]>(bytes / core::kUnitBytes)} {}

    int read(std::uint64_t offset, std::span<std::byte> into) noexcept override {
        dawdle();
        if (chance(failures_.reads)) return EIO;
        for (std::size_t at = 0; at < into.size(); at += core::kUnitBytes) {
            with_sector(offset + at,
                        [&](Sector& sector) { copy_bytes(into.data() + at, sector.bytes.data(), core::kUnitBytes); });
        }
        return 0;
    }

    int write(std::uint64_t offset, std::span<const std::byte> from) noexcept override {
        dawdle();
        if (chance(failures_.writes)) return ENOSPC;
        for (std::size_t at = 0; at < from.size(); at += core::kUnitBytes) {
            with_sector(offset + at,
                        [&](Sector& sector) { copy_bytes(sector.bytes.data(), from.data() + at, core::kUnitBytes); });
        }
        return 0;
    }

    void discard(std::uint64_t offset, std::uint64_t bytes) noexcept override {
        for (std::uint64_t at = offset; at < offset + bytes; at += core::kUnitBytes) {
            with_sector(at, [](Sector& sector) { fill_bytes(sector.bytes.data(), 0xee, sector.bytes.size()); });
        }
    }

private:
    struct Sector {
        std::atomic<bool> locked{false};
        std::array<std::byte, core::kUnitBytes> bytes{};
    };

    template <typename Visit>
    void with_sector(std::uint64_t offset, Visit visit) noexcept {
        Sector& sector = sectors_[offset / core::kUnitBytes];
        while (sector.locked.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
        visit(sector);
        sector.locked.store(false, std::memory_order_release);
        dawdle();
    }

    DiskFailures failures_;
    std::unique_ptr<Sector[]> sectors_;
};

class Disks final : public store::StoreFactory {
public:
    explicit Disks(DiskFailures failures) : failures_{failures} {}
    std::unique_ptr<store::BackingStore> open(std::uint64_t bytes) override {
        return std::make_unique<Disk>(failures_, bytes);
    }

private:
    DiskFailures failures_;
};

}  // namespace faultline::test
