#include "pager/filler.hpp"

#include "core/check.hpp"
#include "store/write_queue.hpp"

#include <algorithm>
#include <bit>

namespace faultline::detail {

using core::PageState;
using core::PageWord;
using mmu::Protection;

std::uint64_t Filler::most_at_once(const Region& region) noexcept {
    return std::clamp<std::uint64_t>(BufferPool::kBufferBytes / region.page_bytes(), 1, 64);
}

PageWindow Filler::claim(Region& region, PageState absent, PageWindow wanted, Access access,
                         FrameReservation& frames) FAULTLINE_SIGNAL_SAFE {
    PageWindow claimed{wanted.first, 0};
    wanted.for_each([&](std::uint64_t page) {
        PageWord seen = region.load(page);
        const Access allowed = region.access_to(page, seen);
        const bool usable = allowed == access || (access == Access::read && allowed == Access::read_write);
        if (!seen.is(absent) || !usable) return;
        if (seen.has_slot() && shared_frames_.has(region, page)) return;  // to be taken over when it is asked for
        if (!budget_.try_reserve(region.page_units())) return;
        if (!region.try_change(page, seen, seen.claimed_for_fill())) {
            budget_.release(region.page_units());
            return;
        }
        frames.add(region.page_units());
        claimed.mask |= claimed.bit_of(page);
    });
    return claimed;
}

void Filler::abandon(Region& region, PageWindow window, PageState absent) FAULTLINE_SIGNAL_SAFE {
    window.for_each([&](std::uint64_t page) {
        region.publish(page, [absent](PageWord word) { return word.fill_abandoned(absent); });
    });
}

void Filler::publish_read_ahead(Region& region, PageWindow window, bool for_writing,
                                FrameReservation& frames) FAULTLINE_SIGNAL_SAFE {
    if (window.count() == 0) return;
    const PageWindow writable = for_writing ? open(region, window) : PageWindow{window.first, 0};
    window.for_each([&](std::uint64_t page) {
        const bool dirty = (writable.mask & writable.bit_of(page)) != 0;
        publish(region, page, dirty, {policy::Arrival::Kind::read_ahead}, frames);
    });
    region.counters().add(Count::read_ahead, static_cast<std::int64_t>(window.count()));
}

/// Lets the program write to those of the mapped pages that it may write to, neighbours with one call. Returns them.
PageWindow Filler::open(Region& region, PageWindow window) FAULTLINE_SIGNAL_SAFE {
    PageWindow writable{window.first, 0};
    window.for_each([&](std::uint64_t page) {
        if (region.access_to(page, region.load(page)) == Access::read_write) writable.mask |= writable.bit_of(page);
    });
    writable.for_each_run([&](std::uint64_t first, std::uint64_t count) {
        const int error =
            with_room([&] { return mapper_.allow_writes(region.address_of(first), count * region.page_bytes()); });
        FAULTLINE_REQUIRE(error == 0,
                          "pages cannot be made usable: has the program unmapped or remapped managed memory?");
    });
    return writable;
}

int Filler::read_and_map(Region& region, PageWindow window, std::uint64_t writable) FAULTLINE_SIGNAL_SAFE {
    const BufferPool::Buffer buffer{buffers_};
    if (region.page_bytes() > BufferPool::kBufferBytes) {
        return read_and_map_in_pieces(region, window.first, writable != 0, buffer.bytes());
    }
    const std::span<std::byte> bytes = buffer.bytes().first(window.span() * region.page_bytes());
    if (const int error = region.store().read(region.offset_of(window.first), bytes)) return error;
    region.counters().add(Count::bytes_read, static_cast<std::int64_t>(bytes.size()));
    return map(region, window, writable, bytes);
}

int Filler::map(Region& region, PageWindow window, std::uint64_t writable,
                std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    // The program may write to what is writable at once, and then it could not be unmapped again without a loss.
    const Protection protection = mmu::shown_for(region.load(window.lowest()).protection(), false);
    const int error = map_runs(region, window, window.mask & ~writable, bytes, protection);
    return error != 0 ? error : map_runs(region, window, window.mask & writable, bytes, Protection::writable);
}

/// Maps the pages of `mask` from `bytes`, neighbours with one call. On error nothing of the window is mapped: of it
/// nothing may be writable yet.
int Filler::map_runs(Region& region, PageWindow window, std::uint64_t mask, std::span<const std::byte> bytes,
                     Protection protection) FAULTLINE_SIGNAL_SAFE {
    int error = 0;
    PageWindow{window.first, mask}.for_each_run([&](std::uint64_t first, std::uint64_t count) {
        if (error != 0) return;
        const std::size_t offset = (first - window.first) * region.page_bytes();
        error = with_room([&] {
            return mapper_.install(region.address_of(first), bytes.data() + offset, count * region.page_bytes(),
                                   protection);
        });
    });
    if (error != 0) window.for_each([&](std::uint64_t page) { unmap(region, page); });
    return error;
}

/// A page larger than a buffer comes in pieces, which nobody can write to before all are there.
int Filler::read_and_map_in_pieces(Region& region, std::uint64_t page, bool writable,
                                   std::span<std::byte> buffer) FAULTLINE_SIGNAL_SAFE {
    std::byte* const base = region.address_of(page);
    const Protection protection = mmu::shown_for(region.load(page).protection(), false);
    for (std::size_t offset = 0; offset < region.page_bytes(); offset += buffer.size()) {
        int error = region.store().read(region.offset_of(page) + offset, buffer);
        if (error == 0) {
            error = with_room([&] { return mapper_.install(base + offset, buffer.data(), buffer.size(), protection); });
        }
        if (error != 0) {
            unmap(region, page);
            return error;
        }
    }
    region.counters().add(Count::bytes_read, static_cast<std::int64_t>(region.page_bytes()));
    if (!writable) return 0;
    const int error = mapper_.allow_writes(base, region.page_bytes());
    FAULTLINE_REQUIRE(error == 0, "a page cannot be made usable: has the program unmapped or remapped managed memory?");
    return 0;
}

void Filler::unmap(Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
    const iovec range{region.address_of(page), region.page_bytes()};
    mapper_.drop({&range, 1});
}

void Filler::publish(Region& region, std::uint64_t page, bool dirty, const policy::Arrival& arrival,
                     FrameReservation& frames) FAULTLINE_SIGNAL_SAFE {
    const policy::FrameId frame = frames_.place(region.ref(page), arrival);
    frames.keep(region.page_units());
    if (!dirty) shared_frames_.note(region, page);
    region.publish(page, [frame, dirty](PageWord word) { return word.filled(frame, dirty); });
    budget_.changed();  // one more page that can leave
}

void Filler::make_room() FAULTLINE_SIGNAL_SAFE {
    constexpr std::size_t kPages = 16;
    store::SequentialWriteQueue queue;
    static_cast<void>(evictor_.make_room(kPages, queue));
}

bool Filler::give_mappings_back() FAULTLINE_SIGNAL_SAFE {
    store::SequentialWriteQueue queue;
    return evictor_.evict_fragmenting(queue).progress;
}

}  // namespace faultline::detail
