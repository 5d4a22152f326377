// ProtectMapper: a mapper without userfaultfd. The program's mappings map a memory file (FileMappings). A page is
// mapped and unmapped by opening and closing its mappings. The pager fills a page while the page is closed, so no
// thread sees a half-filled page. Frames never move: a staged page is a closed page. The kernel does not check access
// by itself: each forbidden access is a fault.
#pragma once

#include "mmu/file_mappings.hpp"
#include "mmu/mapper.hpp"
#include "mmu/view_registry.hpp"

#include <faultline/types.hpp>

namespace faultline::mmu {

class ProtectMapper final : public Mapper {
public:
    /// The mapper of private regions, each page of which has one mapping.
    explicit ProtectMapper(FileMappings& file) noexcept : file_{file} {}
    /// The mapper of shared regions, whose pages are mapped in views. `file` and `views` must outlive it.
    ProtectMapper(FileMappings& file, const ViewRegistry& views) noexcept : file_{file}, views_{&views} {}

    void watch_region(void* address, std::size_t bytes) override { file_.watch_region(address, bytes); }
    void watch_again(void* address, std::size_t bytes) override { file_.watch_again(address, bytes); }
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override {
        file_.empty_region(address, bytes);
    }
    void unwatch_region(void* address) noexcept override { file_.unwatch_region(address); }
    void watch_window(void* address, std::size_t bytes) override { file_.watch_window(address, bytes); }
    void watch_window_again(void* address, std::size_t) override { file_.forget_window(address); }
    [[nodiscard]] int map_part(void* address, std::size_t bytes) noexcept override {
        return file_.map_part(address, bytes);
    }
    void forget_part(void* address, std::size_t bytes) noexcept override { file_.forget_part(address, bytes); }

    [[nodiscard]] int install(void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Always false: the mapper cannot see what the program did to the protection.
    [[nodiscard]] bool is_mapped(const void*, std::size_t) const FAULTLINE_SIGNAL_SAFE override { return false; }
    /// Always true: reading the file never faults; an unreadable page is an error.
    [[nodiscard]] bool can_copy_from(const void*, std::size_t) const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] int restore(void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE override;
    /// As a copy: the page may be closed to this thread, too.
    [[nodiscard]] const std::byte* mapped_bytes(const void* page, void* slot,
                                                std::size_t bytes) FAULTLINE_SIGNAL_SAFE override {
        return staged_bytes(page, slot, bytes);
    }

    [[nodiscard]] Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                               Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool stages_in_place() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] bool should_unstage(bool, bool) const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] int unstage(void* slot, void* page, std::size_t bytes, Access access,
                              bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* staged_bytes(const void* page, void* slot,
                                                std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void wake(void*, std::size_t) FAULTLINE_SIGNAL_SAFE override {}  // no thread sleeps in the kernel for a page

    [[nodiscard]] bool maps_access_by_page() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] bool refusal_is_final() const FAULTLINE_SIGNAL_SAFE override { return false; }
    [[nodiscard]] std::optional<core::FaultOutcome> answer_forbidden(core::FaultAccess,
                                                                     Access) const FAULTLINE_SIGNAL_SAFE override {
        return core::FaultOutcome::access_violation;
    }

private:
    template <typename Act>
    [[nodiscard]] int for_each_mapping(void* page, std::size_t bytes, Act act) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int close(void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;
    void close_for_certain(void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    FileMappings& file_;
    const ViewRegistry* const views_ = nullptr;  // null for private regions
};

}  // namespace faultline::mmu
