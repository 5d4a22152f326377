// SharedLayer: the pages that a space had in its swap store when it was cloned. No thread writes to them any more. The
// space and its clones read them until they write versions of their own. It counts the users of each page, and discards
// a page when its last user drops it. SegmentStore records which pages a space uses here.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace faultline::space {

class SharedLayer {
public:
    /// Constructs the counts of `pages` pages of 4 KiB. Throws std::system_error (ENOMEM).
    explicit SharedLayer(std::uint64_t pages)
        : users_{pages, "users of shared pages"}, notes_{pages, "notes on shared pages"} {}

    /// Sets the store that holds the pages. Call it once, before any other function.
    void set_store(std::unique_ptr<store::BackingStore> store) noexcept { store_ = std::move(store); }

    [[nodiscard]] store::BackingStore& store() const FAULTLINE_SIGNAL_SAFE { return *store_; }

    /// Counts one more user of the page.
    void add_user(std::uint64_t page) const noexcept { users_[page].fetch_add(1, std::memory_order_relaxed); }

    /// Counts one user less of each page, and discards pages without users. Signal-safe.
    void drop_users(core::PageRange pages) const FAULTLINE_SIGNAL_SAFE;

    /// Returns whether the page has more than one user. Signal-safe.
    [[nodiscard]] bool is_shared(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return users_[page].load(std::memory_order_relaxed) > 1;
    }

    /// Returns the page's note; see store::SharedBytes.
    [[nodiscard]] std::atomic<std::uint64_t>& note(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return notes_[page];
    }

private:
    std::unique_ptr<store::BackingStore> store_;
    sys::LazyArray<std::atomic<std::uint32_t>> users_;
    sys::LazyArray<std::atomic<std::uint64_t>> notes_;
};

}  // namespace faultline::space
