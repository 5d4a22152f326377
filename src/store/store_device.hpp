// StoreDevice: a Store of the program as a device for swap slots. It calls the store in StoreThreads, or in the calling
// thread if the store is signal-safe.
#pragma once

#include "store/slot_device.hpp"
#include "store/store_threads.hpp"

#include <faultline/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace faultline::store {

class StoreDevice final : public SlotDevice {
public:
    /// Throws std::system_error: EINVAL if the store is too small, or asks for too many threads; EAGAIN if a thread
    /// cannot be started.
    explicit StoreDevice(std::shared_ptr<Store> store);

    [[nodiscard]] int fd() const FAULTLINE_SIGNAL_SAFE override { return -1; }

    void extend_to(std::uint64_t bytes) override;
    [[nodiscard]] std::uint64_t length() const noexcept override { return length_; }
    [[nodiscard]] std::uint64_t most_bytes() const noexcept override { return size_; }
    [[nodiscard]] std::uint64_t free_space() const noexcept override { return ~std::uint64_t{0}; }  // unknown
    [[nodiscard]] std::uint64_t medium_bytes() const noexcept override { return size_; }

    [[nodiscard]] int read_all(std::span<const FileRead> reads) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const iovec> parts) const FAULTLINE_SIGNAL_SAFE override;
    void write_all(std::span<FileWrite> writes) const FAULTLINE_SIGNAL_SAFE override;
    void allocate(std::uint64_t, std::uint64_t) const FAULTLINE_SIGNAL_SAFE override {}
    void punch(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;

private:
    static constexpr std::size_t kCallsAtOnce = 16;  // they are on the caller's stack

    void make(std::span<StoreCall> calls) const FAULTLINE_SIGNAL_SAFE;

    std::shared_ptr<Store> store_;
    std::uint64_t size_;
    std::uint64_t length_ = 0;
    mutable std::optional<StoreThreads> threads_;  // empty: the store is signal-safe
};

}  // namespace faultline::store
