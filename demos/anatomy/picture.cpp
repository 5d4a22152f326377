#include "anatomy/picture.hpp"

#include "display/format.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace faultline::demo::anatomy {
namespace {

constexpr const char* kBorder = "  +------------------------------+";

std::string permissions(const SegmentInfo& segment) {
    switch (segment.access) {
        case Access::read_write:
            return "rw-";
        case Access::read:
            return "r--";
        case Access::read_execute:
            return "r-x";
        case Access::none:
            break;
    }
    return "---";
}

std::string border(std::uintptr_t address) {
    return display::printed("%s %012llx\n", kBorder, static_cast<unsigned long long>(address));
}

std::string row(const std::string& left, const std::string& right) {
    return display::printed("  | %-16s %11s |", left.c_str(), right.c_str());
}

std::string gap(std::uint64_t bytes) {
    return display::printed("  : %-28s :\n",
                            display::printed("%s of nothing", display::format_bytes(bytes).c_str()).c_str());
}

std::string origin(const SegmentInfo& segment) {
    switch (segment.kind) {
        case SegmentKind::image:
        case SegmentKind::file:
            return display::printed("pages come from the file at byte %llu",
                                    static_cast<unsigned long long>(segment.file_offset));
        case SegmentKind::bss:
            return "zeros until written";
        case SegmentKind::heap:
            return "grows up with brk";
        case SegmentKind::anonymous:
            return "mapped; the next one goes below";
        case SegmentKind::stack:
            return "grows down when it is touched";
    }
    return {};
}

std::string box(const SegmentInfo& segment) {
    std::string lines;
    if (segment.kind == SegmentKind::heap) lines += row("    ^", "") + "\n";
    lines += row(segment.name,
                 permissions(segment) + " " + display::format_bytes_short(static_cast<double>(segment.bytes()))) +
             "  " + origin(segment) + "\n";
    if (segment.kind == SegmentKind::stack || segment.kind == SegmentKind::anonymous) lines += row("    v", "") + "\n";
    return lines;
}

}  // namespace

std::string picture_of(const AddressSpace& space) {
    std::vector<SegmentInfo> segments = space.segments();
    std::reverse(segments.begin(), segments.end());
    std::string picture;
    std::uintptr_t below = 0;  // begin of the previous segment
    for (const SegmentInfo& segment : segments) {
        if (below != segment.end) {
            if (below != 0) picture += border(below) + gap(below - segment.end);
            picture += border(segment.end);
        } else {
            picture += border(below);
        }
        picture += box(segment);
        below = segment.begin;
    }
    return picture + border(below) + gap(below) + "  0\n";
}

std::string usage_table(const AddressSpace& space) {
    std::string table =
        display::printed("  %-12s %9s %9s %9s %9s %9s\n", "segment", "size", "resident", "dirty", "compr.", "swapped");
    for (const SegmentInfo& segment : space.segments()) {
        const SegmentUsage usage = space.usage(segment);
        const auto text = [](std::uint64_t bytes) { return display::format_bytes_short(static_cast<double>(bytes)); };
        table += display::printed("  %-12s %9s %9s %9s %9s %9s\n", segment.name.c_str(), text(segment.bytes()).c_str(),
                                  text(usage.resident + usage.staged).c_str(), text(usage.dirty).c_str(),
                                  text(usage.compressed).c_str(), text(usage.swapped).c_str());
    }
    return table;
}

std::string table_costs(const AddressSpace& space) {
    const TableCost cost = space.table_cost();
    const auto line = [](const char* what, std::uint64_t bytes) {
        return display::printed("  %-52s %10s\n", what, display::format_bytes(bytes).c_str());
    };
    return line("a single table, an entry for each of 2^36 pages", cost.single_level) +
           line("tables of four levels, if all of it were in memory", cost.four_levels_full) +
           line("tables of four levels, for what is in memory", cost.four_levels) +
           line("faultline's words, for what was ever touched", cost.page_words);
}

}  // namespace faultline::demo::anatomy
