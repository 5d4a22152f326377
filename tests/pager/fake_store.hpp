// FakeStore: a store in ordinary memory that counts, blocks and fails as a test tells it to. FakePager: a pager on it.
#pragma once

#include "core/page_range.hpp"
#include "pager/pager.hpp"
#include "pager/region/region_map.hpp"
#include "store/backing_store.hpp"
#include "support/variants.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {

/// A gate blocks threads while it is closed. The test can wait until a number of threads have arrived.
class Gate {
public:
    void close() { open_.store(false); }
    void open() {
        open_.store(true);
        open_.notify_all();
    }
    void pass() noexcept {
        arrived_.fetch_add(1);
        arrived_.notify_all();
        open_.wait(false);
    }
    [[nodiscard]] int arrived() const { return arrived_.load(); }
    void wait_for_arrivals(int count) const {
        for (int seen = arrived_.load(); seen < count; seen = arrived_.load()) arrived_.wait(seen);
    }

private:
    std::atomic<bool> open_{true};
    std::atomic<int> arrived_{0};
};

/// What a test reads of its stores, and how it controls them.
struct StoreControl {
    static constexpr std::uint64_t kEverywhere = std::numeric_limits<std::uint64_t>::max();

    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> writes{0};
    std::atomic<std::uint64_t> bytes_discarded{0};

    std::atomic<int> read_error{0};
    std::atomic<std::uint64_t> read_error_at{kEverywhere};  // offset of the 4 KiB that cannot be read
    std::atomic<int> write_error{0};
    std::atomic<int> write_yields{0};  // how often a write yields to other threads first

    Gate read_gate;
    Gate write_gate;

    // Rules of BackingStore that the pager broke. Reads of pages that the store does not hold are no violation: reading
    // ahead reads across them and does not use the bytes.
    std::atomic<int> reads_of_nothing{0};
    std::atomic<int> overlapping_writes{0};
};

class FakeStore final : public store::BackingStore {
public:
    FakeStore(std::shared_ptr<StoreControl> control, std::uint64_t bytes)
        : control_{std::move(control)}, bytes_(bytes), units_(bytes / kBasePageBytes) {}

    int read(std::uint64_t offset, std::span<std::byte> into) noexcept override {
        control_->reads.fetch_add(1);
        control_->read_gate.pass();
        for (std::uint64_t at = offset; at < offset + into.size(); at += kBasePageBytes) {
            const std::uint64_t failing = control_->read_error_at.load();
            const int error = control_->read_error.load();
            if (error != 0 && (failing == StoreControl::kEverywhere || failing == at)) return error;
            if (!units_[at / kBasePageBytes].written.load()) control_->reads_of_nothing.fetch_add(1);
        }
        std::memcpy(into.data(), bytes_.data() + offset, into.size());
        return 0;
    }

    int write(std::uint64_t offset, std::span<const std::byte> from) noexcept override {
        control_->writes.fetch_add(1);
        mark_in_flight(offset, from.size(), true);
        control_->write_gate.pass();
        for (int i = control_->write_yields.load(); i > 0; --i) std::this_thread::yield();
        const int error = control_->write_error.load();
        if (error == 0) {
            std::memcpy(bytes_.data() + offset, from.data(), from.size());
            for (std::uint64_t at = offset; at < offset + from.size(); at += kBasePageBytes) {
                units_[at / kBasePageBytes].written.store(true);
            }
        }
        mark_in_flight(offset, from.size(), false);
        return error;
    }

    void discard(std::uint64_t offset, std::uint64_t bytes) noexcept override {
        control_->bytes_discarded.fetch_add(bytes);
        for (std::uint64_t at = offset; at < offset + bytes; at += kBasePageBytes) {
            units_[at / kBasePageBytes].written.store(false);
        }
    }

private:
    struct Unit {
        std::atomic<bool> written{false};
        std::atomic<bool> in_flight{false};
    };

    void mark_in_flight(std::uint64_t offset, std::uint64_t bytes, bool on) noexcept {
        for (std::uint64_t at = offset; at < offset + bytes; at += kBasePageBytes) {
            if (units_[at / kBasePageBytes].in_flight.exchange(on) == on) control_->overlapping_writes.fetch_add(1);
        }
    }

    std::shared_ptr<StoreControl> control_;
    std::vector<std::byte> bytes_;
    std::vector<Unit> units_;
};

class FakeStores final : public store::StoreFactory {
public:
    explicit FakeStores(std::shared_ptr<StoreControl> control) : control_{std::move(control)} {}
    std::unique_ptr<store::BackingStore> open(std::uint64_t bytes) override {
        return std::make_unique<FakeStore>(control_, bytes);
    }

private:
    std::shared_ptr<StoreControl> control_;
};

/// A pager with one region on a fake store. Its destructor checks the rules of BackingStore.
class FakePager {
public:
    /// `limit_pages` pages of the variant's size replace the limit of `config`.
    FakePager(const Variant& variant, Config config, std::size_t pages, std::size_t limit_pages)
        : control_{std::make_shared<StoreControl>()},
          reads_ahead_{config.read_ahead},
          pager_{with_limit(std::move(config), limit_pages * variant.page_size),
                 std::make_unique<FakeStores>(control_)},
          region_{&pager_.reserve(pages * variant.page_size, variant.page_size)} {}
    ~FakePager() {
        control_->read_gate.open();
        control_->write_gate.open();
        if (region_ != nullptr) pager_.destroy(*region_);
        if (!reads_ahead_) {
            EXPECT_EQ(control_->reads_of_nothing.load(), 0) << "pages were read that the store does not hold";
        }
        EXPECT_EQ(control_->overlapping_writes.load(), 0) << "two writes of one page were in flight";
    }
    FakePager(const FakePager&) = delete;
    FakePager& operator=(const FakePager&) = delete;

    [[nodiscard]] StoreControl& store() { return *control_; }
    [[nodiscard]] pager::Pager& pager() { return pager_; }
    [[nodiscard]] pager::Region& region() { return *region_; }
    [[nodiscard]] std::byte* page(std::uint64_t index) { return region_->address_of(index); }
    [[nodiscard]] std::uint64_t pages() const { return region_->pages(); }
    [[nodiscard]] std::size_t page_bytes() const { return region_->page_bytes(); }
    [[nodiscard]] RegionStats stats() const { return pager::region_stats(region_->counters(), page_bytes()); }

    /// Blocks until no fault is being resolved. A handler thread may still be accounting for a fault after the program
    /// has got its page. Not while a closed gate blocks a thread.
    static void settle() { pager::RegionMap::readers().synchronize(); }
    [[nodiscard]] RegionStats settled_stats() const {
        settle();
        return stats();
    }

    void evict(core::PageRange range) {
        settle();
        pager_.advice().evict(*region_, range);
    }
    void evict_all() { evict({0, pages()}); }
    void retry_all() { pager_.advice().retry(*region_, {0, pages()}); }
    void destroy_region() { pager_.destroy(*std::exchange(region_, nullptr)); }

private:
    static Config with_limit(Config config, std::size_t bytes) {
        config.resident_limit = bytes;
        return config;
    }

    std::shared_ptr<StoreControl> control_;
    bool reads_ahead_;
    pager::Pager pager_;
    pager::Region* region_;
};

/// A configuration whose counts do not depend on timing: no background evictor, no reading ahead.
inline Config plain_config(const Variant& variant) {
    Config config = config_for(variant, 0);
    config.background_evictor = false;
    config.read_ahead = false;
    config.log = [](LogLevel, std::string_view) {};
    return config;
}

}  // namespace faultline::test
