// UffdViews: the part of UffdMapper for shared regions. A memory file holds the frames. The region maps the file
// read-only and unwatched; the pager reads the bytes there. Each view maps the file, too. It is watched for every page
// not mapped in the view, whether the file holds the page or not. UFFDIO_CONTINUE maps a page in a view. Dropping a
// page from the view unmaps it there and leaves it in the file.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "mmu/shared_views.hpp"
#include "sys/memory_file.hpp"
#include "sys/userfaultfd.hpp"

#include <cstddef>
#include <optional>

namespace faultline::mmu {

/// Calls that have the name of a Mapper call have its contract, for pages of shared regions. `views` are all current
/// views.
class UffdViews {
public:
    explicit UffdViews(sys::Userfaultfd& uffd) noexcept : uffd_{uffd} {}

    [[nodiscard]] bool prepare();
    void start_in_child();
    void watch(void* address, std::size_t bytes);
    void empty(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map(void* address, std::size_t bytes, const void* source) noexcept;
    [[nodiscard]] int unmap(void* address, std::size_t bytes) noexcept;

    [[nodiscard]] int install(const SharedViews& views, void* page, const void* from, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int show(const SharedViews& views, const void* page, std::size_t bytes,
                           Protection protection) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int protect(const SharedViews& views, const void* page, std::size_t bytes,
                              bool on) FAULTLINE_SIGNAL_SAFE;
    void hide(const SharedViews& views, const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    void drop(const SharedViews& views, void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int poison(const SharedViews& views, const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    void wake(const SharedViews& views, const void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

private:
    [[nodiscard]] bool works();
    [[nodiscard]] int show_at(std::byte* address, std::size_t bytes, bool writable) FAULTLINE_SIGNAL_SAFE;

    sys::Userfaultfd& uffd_;
    std::optional<sys::MemoryFile> frames_;  // the offset of a page is its address; created by prepare
    std::optional<bool> works_;
};

}  // namespace faultline::mmu
