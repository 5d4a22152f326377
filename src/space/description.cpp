#include "space/description.hpp"

#include "core/units.hpp"
#include "space/placement.hpp"
#include "space/source_file.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace faultline::space {

using core::PageState;
using core::PageWord;
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
            const std::size_t shift = core::kUnitShift + std::size_t{level + 1} * kTableBits;
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

/// Returns the lowest address that a stack has grown to: it has at least one page.
std::uintptr_t lowest_touched(const Arena& arena, AddressRange range) {
    std::uintptr_t lowest = range.end - core::kUnitBytes;
    arena.region().table().for_each_touched(arena.pages_of(range), [&](std::uint64_t page) {
        if (arena.region().load(page).is(PageState::empty)) return;
        lowest = std::min(lowest, core::address_of(arena.region().address_of(page)));
    });
    return lowest;
}

SegmentInfo describe(const Arenas& arenas, const Segment& segment) {
    SegmentInfo info;
    info.begin = segment.range.begin;
    info.end = segment.range.end;
    info.kind = segment.origin.kind;
    info.access = segment.origin.access;
    info.shared = segment.origin.shared;
    info.name = segment.origin.name;
    if (segment.origin.kind == SegmentKind::stack)
        info.begin = lowest_touched(*arenas.find(segment.range), segment.range);
    if (segment.origin.file) {
        info.file = segment.origin.file->path();
        info.file_offset = segment.origin.file_offset;
        info.device = segment.origin.file->device();
        info.inode = segment.origin.file->inode();
    }
    return info;
}

}  // namespace

std::vector<SegmentInfo> describe_all(const MappedSegments& segments) {
    std::vector<SegmentInfo> all;
    segments.set().for_each([&](const Segment& segment) {
        if (!segment.origin.guard) all.push_back(describe(segments.arenas(), segment));
    });
    return all;
}

Explanation explain(const MappedSegments& segments, std::uintptr_t address) {
    Explanation all;
    all.address = address;
    all.canonical = is_canonical(address);
    all.user = is_user(address);
    all.offset = static_cast<unsigned>(address % core::kUnitBytes);
    for (unsigned level = 0; level < kLevels; ++level) {
        const std::size_t shift = core::kUnitShift + std::size_t{kLevels - 1 - level} * kTableBits;
        all.table_indices[level] = static_cast<unsigned>(address >> shift) % kEntriesPerTable;
    }
    const Segment* const segment = segments.set().find(address);
    if (segment == nullptr || segment->origin.guard) return all;
    all.segment = describe(segments.arenas(), *segment);
    const std::uintptr_t begin = core::align_down<std::uintptr_t>(address, core::kUnitBytes);
    const pager::PageRun run = segments.arenas().runs_of({begin, begin + core::kUnitBytes}).front();
    const PageWord word = run.region->load(run.pages.first);
    const Whereabouts where = run.region->store().whereabouts(run.region->offset_of(run.pages.first));
    all.page_state = state_text(word, where.place);
    all.bytes_are = bytes_text(word, where, *segment);
    return all;
}

TableCost table_cost(const MappedSegments& segments) {
    TableCost cost;
    cost.single_level = kEntryBytes << (48 - core::kUnitShift);
    TableCounter full;
    segments.set().for_each([&](const Segment& segment) {
        if (!segment.origin.guard) full.add(segment.range);
    });
    cost.four_levels_full = full.bytes();
    TableCounter now;
    std::array<Arena*, 2> arenas = segments.arenas().both();
    std::sort(arenas.begin(), arenas.end(),
              [](const Arena* left, const Arena* right) { return left->range().begin < right->range().begin; });
    for (const Arena* const arena : arenas) {
        const pager::Region& region = arena->region();
        std::uint64_t words_page = ~std::uint64_t{0};
        region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
            if (page / kEntriesPerTable != words_page) cost.page_words += kTableBytes;
            words_page = page / kEntriesPerTable;
        });
        for (const pager::PageRun& run : segments.arenas().runs_of(arena->range())) {
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
