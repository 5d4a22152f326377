// ProtectMappers: the mappers of a pager without userfaultfd. Slots of the staging area hold no frames here, only
// copies of staged bytes while these are written to the store.
#pragma once

#include "mmu/file_mappings.hpp"
#include "mmu/mappers.hpp"
#include "mmu/protect_mapper.hpp"
#include "mmu/view_registry.hpp"

#include <faultline/types.hpp>

namespace faultline::mmu {

class ProtectMappers final : public Mappers {
public:
    /// `views` must outlive the mappers. Throws as FileMappings.
    ProtectMappers(Eviction wanted, const ViewRegistry& views)
        : views_{views}, file_{wanted}, private_{file_}, shared_{file_, views} {}

    [[nodiscard]] Mapper& private_mapper() noexcept override { return private_; }
    [[nodiscard]] Mapper& shared_mapper() noexcept override { return shared_; }
    void start_in_child() override { file_.start_in_child(); }
    [[nodiscard]] Eviction eviction() const noexcept override {
        return file_.uses_guards() ? Eviction::guard : Eviction::protect;
    }
    [[nodiscard]] bool can_poison() const FAULTLINE_SIGNAL_SAFE override { return true; }

    void watch_staging(void*, std::size_t) override {}
    void drop_slots(std::span<const iovec>) FAULTLINE_SIGNAL_SAFE override {}
    void release_copies(void* slots, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;

    /// Always true: a view maps the part of the memory file that holds the region's pages.
    [[nodiscard]] bool prepare_views() override { return true; }
    [[nodiscard]] int map_view(void* address, std::size_t bytes, const void* source) noexcept override {
        return file_.map_view(address, bytes, source);
    }
    [[nodiscard]] int unmap_view(void* address, std::size_t bytes) noexcept override {
        return file_.unmap_view(address, bytes);
    }

    [[nodiscard]] bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool low_on_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE override;

private:
    void name_by_source(iovec& run) const FAULTLINE_SIGNAL_SAFE;

    const ViewRegistry& views_;
    FileMappings file_;
    ProtectMapper private_;
    ProtectMapper shared_;
};

}  // namespace faultline::mmu
