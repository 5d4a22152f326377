// SharedLayer: pages that a space had in its swap store when it was cloned. Nobody writes to them any more; the space
// and its clones read them until they have versions of their own. It counts who still does, and a page's place in the
// store goes with the last one. Who has which page here, SegmentStore keeps.
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
    /// For `pages` of 4 KiB. Throws std::system_error (ENOMEM).
    explicit SharedLayer(std::uint64_t pages)
        : users_{pages, "users of shared pages"}, notes_{pages, "notes on shared pages"} {}

    /// The pages are in `store`, from here on. Said once, before anything else.
    void take(std::unique_ptr<store::BackingStore> store) noexcept { store_ = std::move(store); }

    [[nodiscard]] store::BackingStore& store() const FAULTLINE_SIGNAL_SAFE { return *store_; }

    /// One more user of the page.
    void share(std::uint64_t page) const noexcept { users_[page].fetch_add(1, std::memory_order_relaxed); }

    /// One user less of each. Signal-safe.
    void let_go(core::PageRange pages) const FAULTLINE_SIGNAL_SAFE;

    /// Whether it has more than one. Signal-safe.
    [[nodiscard]] bool is_shared(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return users_[page].load(std::memory_order_relaxed) > 1;
    }

    /// See store::SharedBytes.
    [[nodiscard]] std::atomic<std::uint64_t>& note(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return notes_[page];
    }

private:
    std::unique_ptr<store::BackingStore> store_;
    sys::LazyArray<std::atomic<std::uint32_t>> users_;
    sys::LazyArray<std::atomic<std::uint64_t>> notes_;
};

}  // namespace faultline::space
