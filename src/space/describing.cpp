// Descriptions of a Space: segments, usage, the explanation of an address, the cost of page tables. Reads and changes
// nothing. Pages may change state before the caller reads the result.

#include "core/units.hpp"
#include "pager/region/residency.hpp"
#include "space/placement.hpp"
#include "space/space.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <string>
#include <utility>

namespace faultline::space {

using core::PageState;
using core::PageWord;
using space::AddressRange;
using space::Arena;
using space::Segment;
using store::Whereabouts;

namespace {

constexpr std::uint64_t kEntryBytes = 8;
constexpr std::uint64_t kTableBytes = 4096;
constexpr std::uint64_t kEntriesPerTable = kTableBytes / kEntryBytes;
constexpr unsigned kTableBits = 9;
constexpr unsigned kLevels = 4;

/// Counts the page tables that the CPU needs for pages that are added in ascending order.
class TableCounter {
public:
    void add(AddressRange range) noexcept {
        for (unsigned level = 0; level < kLevels; ++level) {
            const unsigned shift = core::kUnitShift + (level + 1) * kTableBits;
            const std::uint64_t first = range.begin >> shift;
            const std::uint64_t last = (range.end - 1) >> shift;
            tables_ += last - first + (level_[level] == first + 1 ? 0 : 1);
            level_[level] = last + 1;
        }
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return tables_ * kTableBytes; }

private:
    std::uint64_t tables_ = 0;
    std::array<std::uint64_t, kLevels> level_{};  // per level: 1 + the last table counted; 0: none
};

std::string state_text(PageWord word, Whereabouts::Place place) {
    std::string state;
    switch (word.state()) {
        case PageState::empty:
            return "never touched, or zeros that were dropped";
        case PageState::stored:
            if (place == Whereabouts::Place::origin) return "not in memory, as the file has it";
            return place == Whereabouts::Place::compressed ? "compressed" : "swapped out";
        case PageState::filling:
            return "being read";
        case PageState::evicting:
            return "being evicted";
        case PageState::poisoned:
            return "cannot be read";
        case PageState::resident:
            state = "resident";
            break;
        case PageState::staged:
            state = "staged";
            break;
    }
    state += word.dirty() ? ", dirty" : ", clean";
    if (word.pins() > 0) state += ", pinned";
    return state;
}

std::string bytes_text(PageWord word, const Whereabouts& where, const Segment& segment) {
    if (word.is(PageState::resident) || word.is(PageState::evicting)) return "in its frame";
    if (word.is(PageState::staged)) return "in its frame, which is unmapped (staged)";
    if (word.is(PageState::empty)) return "nowhere: it reads as zeros";
    const char* const shared = where.shared ? ", shared with a clone" : "";
    switch (where.place) {
        case Whereabouts::Place::origin:
            return "in " + segment.origin.file->path() + " at byte " + std::to_string(where.at);
        case Whereabouts::Place::compressed:
            return std::string("in compressed memory") + shared;
        case Whereabouts::Place::swap_file:
            return "in the swap file at byte " + std::to_string(where.at) + shared;
        case Whereabouts::Place::nowhere:
            break;
    }
    return "being moved";
}

void count(const pager::Region& region, std::uint64_t page, SegmentUsage& usage) {
    const PageWord word = region.load(page);
    if (word.is(PageState::empty) || word.is(PageState::poisoned)) return;
    constexpr std::uint64_t kBytes = core::kUnitBytes;
    if (word.is(PageState::stored)) {
        const Whereabouts::Place place = region.store().whereabouts(region.offset_of(page)).place;
        if (place == Whereabouts::Place::swap_file) usage.swapped += kBytes;
        if (place == Whereabouts::Place::compressed) usage.compressed += kBytes;
        return;
    }
    (word.is(PageState::staged) ? usage.staged : usage.resident) += kBytes;
    if (word.dirty()) usage.dirty += kBytes;
}

}  // namespace

SegmentInfo Space::describe(const Segment& segment) const {
    SegmentInfo info;
    info.begin = segment.range.begin;
    info.end = segment.range.end;
    info.kind = segment.origin.kind;
    info.access = segment.origin.access;
    info.shared = segment.origin.shared;
    info.name = segment.origin.name;
    if (segment.origin.kind == SegmentKind::stack) info.begin = lowest_touched(segment.range);
    if (segment.origin.file) {
        info.file = segment.origin.file->path();
        info.file_offset = segment.origin.file_offset;
        info.device = segment.origin.file->device();
        info.inode = segment.origin.file->inode();
    }
    return info;
}

/// Returns the lowest address that a stack has grown to: it has at least one page.
std::uintptr_t Space::lowest_touched(AddressRange range) const {
    const Arena& arena = *arena_of(range);
    std::uintptr_t lowest = range.end - core::kUnitBytes;
    arena.region().table().for_each_touched(arena.pages_of(range), [&](std::uint64_t page) {
        if (arena.region().load(page).is(PageState::empty)) return;
        lowest = std::min(lowest, core::address_of(arena.region().address_of(page)));
    });
    return lowest;
}

std::vector<SegmentInfo> Space::segments() const {
    const std::lock_guard lock{mutex_};
    std::vector<SegmentInfo> all;
    segments_.for_each([&](const Segment& segment) {
        if (!segment.origin.guard) all.push_back(describe(segment));
    });
    return all;
}

SegmentUsage Space::usage(AddressRange range) const {
    const std::lock_guard lock{mutex_};
    return usage_locked(range);
}

SegmentUsage Space::usage_locked(AddressRange range) const {
    SegmentUsage usage;
    if (arena_of(range) == nullptr) return usage;
    for (const pager::PageRun& run : runs_of(range)) {
        run.region->table().for_each_touched(run.pages, [&](std::uint64_t page) { count(*run.region, page, usage); });
    }
    return usage;
}

void Space::residency(std::uintptr_t address, std::size_t bytes, std::span<ResidencyCell> cells) const {
    const std::lock_guard lock{mutex_};
    space::require_user_range(address, bytes);
    const AddressRange range{core::align_down<std::uintptr_t>(address, core::kUnitBytes),
                             core::align_up<std::uintptr_t>(address + bytes, core::kUnitBytes)};
    const Arena& arena = checked_arena(range, "report the residency");
    const core::PageRange pages = arena.pages_of(range);
    for (std::size_t i = 0; i < cells.size(); ++i) {
        cells[i] = {};
        for (const pager::PageRun& run : pager_->views().runs_of(arena.region(), pages.part(i, cells.size()))) {
            cells[i] += pager::residency_of(*run.region, run.pages);
        }
    }
}

Explanation Space::explain(std::uintptr_t address) const {
    Explanation all;
    all.address = address;
    all.canonical = space::is_canonical(address);
    all.user = space::is_user(address);
    all.offset = static_cast<unsigned>(address % core::kUnitBytes);
    for (unsigned level = 0; level < kLevels; ++level) {
        const unsigned shift = core::kUnitShift + (kLevels - 1 - level) * kTableBits;
        all.table_indices[level] = static_cast<unsigned>(address >> shift) % kEntriesPerTable;
    }
    const std::lock_guard lock{mutex_};
    const Segment* const segment = segments_.find(address);
    if (segment == nullptr || segment->origin.guard) return all;
    all.segment = describe(*segment);
    const std::uintptr_t begin = core::align_down<std::uintptr_t>(address, core::kUnitBytes);
    const pager::PageRun run = runs_of({begin, begin + core::kUnitBytes}).front();
    const PageWord word = run.region->load(run.pages.first);
    const Whereabouts where = run.region->store().whereabouts(run.region->offset_of(run.pages.first));
    all.page_state = state_text(word, where.place);
    all.bytes_are = bytes_text(word, where, *segment);
    return all;
}

TableCost Space::table_cost() const {
    const std::lock_guard lock{mutex_};
    TableCost cost;
    cost.single_level = kEntryBytes << (48 - core::kUnitShift);
    TableCounter full;
    segments_.for_each([&](const Segment& segment) {
        if (!segment.origin.guard) full.add(segment.range);
    });
    cost.four_levels_full = full.bytes();
    TableCounter now;
    std::array<const Arena*, 2> arenas{low_.get(), high_.get()};
    std::sort(arenas.begin(), arenas.end(),
              [](const Arena* left, const Arena* right) { return left->range().begin < right->range().begin; });
    for (const Arena* const arena : arenas) {
        const pager::Region& region = arena->region();
        std::uint64_t words_page = ~std::uint64_t{0};
        region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
            if (page / kEntriesPerTable != words_page) cost.page_words += kTableBytes;
            words_page = page / kEntriesPerTable;
        });
        for (const pager::PageRun& run : runs_of(arena->range())) {
            run.region->table().for_each_touched(run.pages, [&](std::uint64_t page) {
                if (!run.region->load(page).is(PageState::resident)) return;
                const std::uintptr_t address = run.seen_at + run.region->offset_of(page - run.pages.first);
                now.add({address, address + core::kUnitBytes});
            });
        }
    }
    cost.four_levels = now.bytes();
    return cost;
}

}  // namespace faultline::space
