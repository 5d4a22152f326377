// A store of another project: keeps pages in a std::map.
#pragma once

#include <faultline/store.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <span>

class MapStore final : public faultline::Store {
public:
    std::uint64_t size() const noexcept override { return std::uint64_t{1} << 30; }

    int read(std::uint64_t offset, std::span<std::byte> into) override {
        const std::lock_guard lock{mutex_};
        for (std::size_t at = 0; at < into.size(); at += kUnit) {
            const auto found = units_.find(offset + at);
            if (found != units_.end()) std::memcpy(into.data() + at, found->second.data(), kUnit);
        }
        return 0;
    }

    int write(std::uint64_t offset, std::span<const std::byte> from) override {
        const std::lock_guard lock{mutex_};
        for (std::size_t at = 0; at < from.size(); at += kUnit) {
            std::memcpy(units_[offset + at].data(), from.data() + at, kUnit);
        }
        return 0;
    }

    void discard(std::uint64_t offset, std::uint64_t bytes) override {
        const std::lock_guard lock{mutex_};
        units_.erase(units_.lower_bound(offset), units_.lower_bound(offset + bytes));
    }

private:
    static constexpr std::size_t kUnit = 4096;  // all offsets and sizes are multiples of it

    std::mutex mutex_;
    std::map<std::uint64_t, std::array<std::byte, kUnit>> units_;
};
