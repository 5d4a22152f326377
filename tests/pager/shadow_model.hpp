// ShadowModel: does random operations on a region and on an array in ordinary memory, which must always hold the same.
#pragma once

#include "pager_fixture.hpp"

#include <faultline/faultline.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace faultline::test {

class ShadowModel {
public:
    /// Possible limits, in pages.
    struct Limits {
        std::size_t least;
        std::size_t most;
    };

    ShadowModel(Pager& pager, Region region, Limits limits, std::uint64_t seed)
        : pager_{pager},
          region_{std::move(region)},
          shadow_(region_.size()),
          pins_on_page_(pages()),
          limits_{limits},
          random_{seed} {}

    /// Does one random operation, and checks its result against the shadow.
    void step();

    /// Compares the whole region with the shadow.
    void verify();

    /// Checks that the figures of RegionStats, PagerStats and residency() agree. `quiet`: no thread evicts in the
    /// background, so that all figures are of one moment.
    void check_figures(bool quiet);

    /// Releases all pins.
    void unpin_all();

    [[nodiscard]] Region& region() { return region_; }

private:
    struct Extent {
        std::size_t first;
        std::size_t count;
    };
    struct HeldPin {
        Pin pin;
        Extent pages;
    };

    [[nodiscard]] std::size_t pages() const { return region_.size() / region_.page_size(); }
    [[nodiscard]] std::size_t below(std::size_t end) {
        return std::uniform_int_distribution<std::size_t>{0, end - 1}(random_);
    }
    [[nodiscard]] Extent some_bytes();
    [[nodiscard]] Extent some_pages();
    [[nodiscard]] std::byte* page(std::size_t index) const { return region_.data() + index * region_.page_size(); }
    [[nodiscard]] std::size_t bytes_of(Extent pages) const { return pages.count * region_.page_size(); }
    [[nodiscard]] bool pinned(Extent pages) const;
    [[nodiscard]] std::size_t distinct_pinned() const;
    [[nodiscard]] std::size_t counted_pins() const;

    /// Of the whole region.
    [[nodiscard]] ResidencyCell residency() const;

    void write(Extent bytes);
    void compare(std::size_t offset, std::size_t bytes);
    void discard();
    void advise();
    void protect();
    void pin();
    void unpin();
    void resize();
    void expect_pin_refused(Extent pages, PinFor purpose, int code);

    Pager& pager_;
    Region region_;
    std::vector<std::byte> shadow_;
    std::vector<unsigned> pins_on_page_;
    std::vector<HeldPin> pins_;  // released before `region_` is destroyed: see unpin_all
    Limits limits_;
    std::mt19937_64 random_;
};

}  // namespace faultline::test
