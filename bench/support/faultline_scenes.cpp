// See faultline_scenes.hpp.
#include "support/faultline_scenes.hpp"

#include <algorithm>
#include <stdexcept>

#include "support/random.hpp"

namespace bench {
namespace {

faultline::Config config_for(const FaultlineSetup& setup, std::size_t resident_limit) {
    faultline::Config config;
    config.resident_limit = resident_limit;
    config.swap_directory = setup.swap_directory;
    config.delivery = setup.delivery;
    config.eviction = setup.eviction;
    return config;
}

// The distance between two pages, in bytes.
std::size_t distance(const FaultlineSetup& setup) {
    return setup.spread_over == 0 ? setup.page_bytes : setup.spread_over / setup.pages;
}

// A pager with one region. Counts the difference of its counters over the timed batches.
class FaultlineScene : public Scene {
public:
    FaultlineScene(const FaultlineSetup& setup, const faultline::Config& config)
        : pager_{config},
          region_{pager_.reserve(setup.pages * distance(setup), {.page_size = setup.page_bytes})},
          distance_{distance(setup)},
          targets_{page_addresses(region_.data(), setup.pages, distance(setup), setup.order)} {}

    std::span<std::byte* const> prepare() final {
        count();
        const std::span<std::byte* const> targets = make_ready();
        before_ = region_.stats();
        return targets;
    }

    // The last batch was prepared but never touched: counting ends before it.
    void report(benchmark::State& state, std::uint64_t operations) const final {
        const auto per_touch = [operations](std::uint64_t faults) {
            return static_cast<double>(faults) / static_cast<double>(operations);
        };
        state.counters["first"] = per_touch(first_);
        state.counters["hard"] = per_touch(hard_);
        state.counters["soft"] = per_touch(soft_);
        state.counters["write"] = per_touch(write_);
    }

protected:
    virtual std::span<std::byte* const> make_ready() = 0;

    [[nodiscard]] faultline::Pager& pager() noexcept { return pager_; }
    [[nodiscard]] faultline::Region& region() noexcept { return region_; }
    [[nodiscard]] const std::vector<std::byte*>& targets() const noexcept { return targets_; }

    void write_all() {
        for (std::byte* page = region_.data(); page != region_.data() + region_.size(); page += distance_) {
            // Not zeros: pages of zeros are never written to the swap file.
            std::fill_n(page, region_.page_size(), static_cast<std::byte>(1 + (page - region_.data()) / 4096 % 255));
        }
    }

    void read_all() const {
        for (std::byte* page = region_.data(); page != region_.data() + region_.size(); page += distance_) {
            static_cast<void>(*static_cast<volatile std::byte*>(page));
        }
    }

    void evict_all() { region_.advise(region_.data(), region_.size(), faultline::Advice::dontneed); }

private:
    // Since the last batch was ready, only its touches have happened.
    void count() {
        if (!touched_) {
            touched_ = true;
            return;
        }
        const faultline::RegionStats now = region_.stats();
        first_ += now.first_touches - before_.first_touches;
        hard_ += now.hard_faults - before_.hard_faults;
        soft_ += now.soft_faults - before_.soft_faults;
        write_ += now.write_faults - before_.write_faults;
    }

    faultline::Pager pager_;
    faultline::Region region_;
    std::size_t distance_;
    std::vector<std::byte*> targets_;
    faultline::RegionStats before_{};
    bool touched_ = false;
    std::uint64_t first_ = 0;
    std::uint64_t hard_ = 0;
    std::uint64_t soft_ = 0;
    std::uint64_t write_ = 0;
};

// Frames for every page, twice: no eviction disturbs.
std::size_t ample_limit(const FaultlineSetup& setup) { return 2 * setup.pages * setup.page_bytes; }

class FirstTouchScene final : public FaultlineScene {
public:
    explicit FirstTouchScene(const FaultlineSetup& setup)
        : FaultlineScene{setup, config_for(setup, ample_limit(setup))} {}

private:
    std::span<std::byte* const> make_ready() override {
        region().discard(region().data(), region().size());
        return targets();
    }
};

class HardFaultScene final : public FaultlineScene {
public:
    explicit HardFaultScene(const FaultlineSetup& setup) : FaultlineScene{setup, config(setup)} { write_all(); }

private:
    // Without read-ahead every page is a fault of its own, in any order.
    static faultline::Config config(const FaultlineSetup& setup) {
        faultline::Config config = config_for(setup, ample_limit(setup));
        config.read_ahead = false;
        return config;
    }

    std::span<std::byte* const> make_ready() override {
        evict_all();
        return targets();
    }
};

// Its targets are rounds, not pages: no page is touched.
class ReservationScene final : public Scene {
public:
    explicit ReservationScene(const FaultlineSetup& setup)
        : pager_{config_for(setup, ample_limit(setup))}, bytes_{setup.spread_over} {}

    std::span<std::byte* const> prepare() override { return rounds_; }
    void perform(std::byte*) override { const faultline::Region region = pager_.reserve(bytes_); }

private:
    static constexpr std::size_t kRounds = 16;

    faultline::Pager pager_;
    std::size_t bytes_;
    std::vector<std::byte*> rounds_ = std::vector<std::byte*>(kRounds);
};

class WriteFaultScene final : public FaultlineScene {
public:
    explicit WriteFaultScene(const FaultlineSetup& setup)
        : FaultlineScene{setup, config_for(setup, ample_limit(setup))} {
        write_all();
    }

private:
    std::span<std::byte* const> make_ready() override {
        evict_all();
        region().advise(region().data(), region().size(), faultline::Advice::willneed);
        read_all();  // pages that willneed left out or left staged
        return targets();
    }
};

// Stages a quarter of what fits into memory, of a region slightly larger than that: touching it in random order fills
// the zone again. The measured touches are of staged pages, under a higher limit, so that no page is evicted meanwhile.
// The region reports which pages are staged, with one residency cell per page.
class SoftFaultScene final : public FaultlineScene {
public:
    explicit SoftFaultScene(const FaultlineSetup& setup)
        : FaultlineScene{setup, config(setup)},
          limit_{config(setup).resident_limit},
          cells_(setup.pages),
          shuffled_(targets()) {
        write_all();
    }

private:
    static constexpr std::size_t kEnough = 32;  // number of staged pages

    static faultline::Config config(const FaultlineSetup& setup) {
        faultline::Config config = config_for(setup, setup.pages * setup.page_bytes / 8 * 7);
        config.replacement = faultline::Replacement::second_chance;
        config.staging_percent = 25;
        config.background_evictor = false;
        config.read_ahead = false;
        return config;
    }

    std::span<std::byte* const> make_ready() override {
        pager().set_resident_limit(limit_);
        for (int round = 0; round < 4; ++round) {
            find_staged();
            if (staged_.size() >= kEnough) {
                pager().set_resident_limit(2 * limit_);
                return staged_;
            }
            // In random order, so that no walk is detected.
            for (std::size_t i = shuffled_.size(); i > 1; --i) std::swap(shuffled_[i - 1], shuffled_[random_.below(i)]);
            for (std::byte* const page : shuffled_) static_cast<void>(*static_cast<volatile std::byte*>(page));
        }
        throw std::runtime_error{"the pager keeps no page staged"};
    }

    void find_staged() {
        staged_.clear();
        region().residency(cells_);
        for (std::size_t page = 0; page < cells_.size(); ++page) {
            if (cells_[page].staged != 0) staged_.push_back(region().data() + page * region().page_size());
        }
        for (std::size_t i = staged_.size(); i > 1; --i) std::swap(staged_[i - 1], staged_[random_.below(i)]);
    }

    std::size_t limit_;
    std::vector<faultline::ResidencyCell> cells_;
    std::vector<std::byte*> shuffled_;
    std::vector<std::byte*> staged_;
    Random random_{1};
};

}  // namespace

std::unique_ptr<Scene> make_first_touch_scene(const FaultlineSetup& setup) {
    return std::make_unique<FirstTouchScene>(setup);
}

std::unique_ptr<Scene> make_hard_fault_scene(const FaultlineSetup& setup) {
    return std::make_unique<HardFaultScene>(setup);
}

std::unique_ptr<Scene> make_reservation_scene(const FaultlineSetup& setup) {
    return std::make_unique<ReservationScene>(setup);
}

std::unique_ptr<Scene> make_soft_fault_scene(const FaultlineSetup& setup) {
    return std::make_unique<SoftFaultScene>(setup);
}

std::unique_ptr<Scene> make_write_fault_scene(const FaultlineSetup& setup) {
    return std::make_unique<WriteFaultScene>(setup);
}

}  // namespace bench
