// UffdViews: UffdMapper's part for shared regions, whose pages are seen in views. Their frames are a memory file's. The
// region itself maps it for reading, and is not watched: there the pager finds the bytes. Each view maps it, watched
// for pages that it does not show, whether the file has them or not; a page is shown by UFFDIO_CONTINUE and hidden by
// dropping it from the view, which leaves it in the file.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "mmu/shared_views.hpp"
#include "sys/memory_file.hpp"
#include "sys/userfaultfd.hpp"

#include <cstddef>
#include <optional>

namespace faultline::mmu {

/// As Mapper says of the calls of these names, for pages of shared regions; `views` are the views that there are.
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
    std::optional<sys::MemoryFile> frames_;  // a page's offset is its address; made when first asked for
    std::optional<bool> works_;
};

}  // namespace faultline::mmu
