// UffdMappers: the mappers of a pager that uses userfaultfd. It tests on scratch pages what the kernel can do, and
// watches the staging area, whose slots hold the frames of staged pages of private regions.
#pragma once

#include "mmu/mappers.hpp"
#include "mmu/page_dropper.hpp"
#include "mmu/uffd_mapper.hpp"
#include "mmu/uffd_shared_mapper.hpp"
#include "mmu/view_registry.hpp"
#include "sys/userfaultfd.hpp"

#include <faultline/types.hpp>

namespace faultline::mmu {

/// Returns how pages are evicted under userfaultfd if `wanted` is asked for: `move` or `copy`. Tests on a scratch page
/// whether UFFDIO_MOVE works. Throws std::system_error: EOPNOTSUPP if `wanted` is `move` and it does not work, EINVAL
/// if `wanted` needs Delivery::sigsegv.
[[nodiscard]] Eviction choose_uffd_eviction(sys::Userfaultfd& uffd, Eviction wanted);

class UffdMappers final : public Mappers {
public:
    /// `uffd` and `views` must outlive the mappers. Throws as choose_uffd_eviction.
    UffdMappers(sys::Userfaultfd& uffd, Eviction wanted, const ViewRegistry& views);

    [[nodiscard]] Mapper& private_mapper() noexcept override { return private_; }
    [[nodiscard]] Mapper& shared_mapper() noexcept override { return shared_; }
    void start_in_child() override;
    [[nodiscard]] Eviction eviction() const noexcept override { return eviction_; }
    [[nodiscard]] bool can_poison() const FAULTLINE_SIGNAL_SAFE override { return poisons_; }

    void watch_staging(void* address, std::size_t bytes) override;
    [[nodiscard]] bool is_staging(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE override {
        return address - staging_begin_ < staging_bytes_;
    }
    void drop_slots(std::span<const iovec> slots) FAULTLINE_SIGNAL_SAFE override { dropper_.drop(slots); }

    [[nodiscard]] bool prepare_views() override { return shared_.prepare(); }
    [[nodiscard]] int map_view(void* address, std::size_t bytes, const void* source) noexcept override {
        return shared_.map_view(address, bytes, source);
    }
    [[nodiscard]] int unmap_view(void* address, std::size_t bytes) noexcept override {
        return shared_.unmap_view(address, bytes);
    }

private:
    sys::Userfaultfd& uffd_;
    Eviction eviction_;
    bool poisons_;
    PageDropper dropper_;
    UffdMapper private_;
    UffdSharedMapper shared_;
    std::uintptr_t staging_begin_ = 0;
    std::size_t staging_bytes_ = 0;
};

}  // namespace faultline::mmu
