#include "space/segment_text.hpp"

#include <sys/sysmacros.h>

#include <cstdio>
#include <utility>

namespace faultline::space {
namespace {

std::string hexadecimal(std::uint64_t number) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
    return text;
}

}  // namespace

std::string permissions_of(const SegmentInfo& segment) {
    std::string text = "---p";
    if (segment.access != Access::none) text[0] = 'r';
    if (segment.access == Access::read_write) text[1] = 'w';
    if (segment.access == Access::read_execute) text[2] = 'x';
    if (segment.shared) text[3] = 's';
    return text;
}

std::string label_of(const SegmentInfo& segment) {
    switch (segment.kind) {
        case SegmentKind::image:
            return segment.file + " [" + segment.name + "]";
        case SegmentKind::file:
            return segment.file;
        case SegmentKind::anonymous:
            return segment.name.empty() ? "" : "[anon:" + segment.name + "]";
        case SegmentKind::bss:
        case SegmentKind::heap:
        case SegmentKind::stack:
            break;
    }
    return "[" + segment.name + "]";
}

std::string maps_line(const SegmentInfo& segment) {
    constexpr int kNameColumn = 73;
    char text[160];
    const int length =
        std::snprintf(text, sizeof text, "%08llx-%08llx %s %08llx %02x:%02x %llu",
                      static_cast<unsigned long long>(segment.begin), static_cast<unsigned long long>(segment.end),
                      permissions_of(segment).c_str(), static_cast<unsigned long long>(segment.file_offset),
                      major(segment.device), minor(segment.device), static_cast<unsigned long long>(segment.inode));
    std::string line = text;
    const std::string label = label_of(segment);
    if (!label.empty()) {
        line.append(static_cast<std::size_t>(length < kNameColumn ? kNameColumn - length : 1), ' ');
        line += label;
    }
    return line + '\n';
}

std::string usage_lines(const SegmentInfo& segment, const SegmentUsage& usage) {
    std::string text;
    for (const auto& [key, bytes] : {std::pair<const char*, std::uint64_t>{"Size:", segment.bytes()},
                                     {"Rss:", usage.resident},
                                     {"Dirty:", usage.dirty},
                                     {"Staged:", usage.staged},
                                     {"Compressed:", usage.compressed},
                                     {"Swap:", usage.swapped}}) {
        char line[64];
        std::snprintf(line, sizeof line, "%-16s%8llu kB\n", key, static_cast<unsigned long long>(bytes >> 10));
        text += line;
    }
    return text;
}

}  // namespace faultline::space

namespace faultline {

std::string Explanation::text() const {
    std::string text = space::hexadecimal(address) + "\n";
    if (!canonical)
        return text + "  not canonical: bits 47 to 63 differ, so the CPU does not accept it as an address\n";
    char line[160];
    std::snprintf(line, sizeof line, "  table entries %u, %u, %u, %u (9 bits each), byte %u of the page (12 bits)\n",
                  table_indices[0], table_indices[1], table_indices[2], table_indices[3], offset);
    text += line;
    if (!user) return text + "  a kernel address: no program can use it\n";
    if (!segment) return text + "  in no segment\n";
    text += "  segment " + segment->name + ", " + space::permissions_of(*segment) + ", " +
            space::hexadecimal(segment->begin) + " to " + space::hexadecimal(segment->end) + "\n";
    return text + "  page " + page_state + "\n  bytes " + bytes_are + "\n";
}

}  // namespace faultline
