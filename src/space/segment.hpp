// Segment: a run of an address space's pages with one origin and one protection. SegmentSet: all of a space's, which do
// not overlap. Bookkeeping only: what the pager does about it, Space decides.
#pragma once

#include "space/source_file.hpp"

#include <faultline/segment_info.hpp>
#include <faultline/types.hpp>

#include <boost/intrusive/set.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline::space {

/// The addresses [begin, end), whole pages.
struct AddressRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    [[nodiscard]] std::size_t bytes() const noexcept { return end - begin; }
    [[nodiscard]] bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
    [[nodiscard]] bool contains(AddressRange other) const noexcept { return other.begin >= begin && other.end <= end; }
};

class SharedFile;

/// What a segment's pages are, besides where.
struct Origin {
    static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

    SegmentKind kind = SegmentKind::anonymous;
    bool shared = false;  ///< What is written goes to the file.
    bool guard = false;   ///< Below the stack: nothing is there, and nothing may come.
    Access access = Access::read_write;
    std::string name{};
    std::shared_ptr<const SourceFile> file{};
    std::shared_ptr<SharedFile> pages{};  ///< If it is shared: its pages. Null: they are this segment's own.
    std::uint64_t file_offset = 0;        ///< Of the first page.
    std::uint64_t file_limit = kNoLimit;  ///< Offset in the file from which on there are zeros instead.

    /// The origin of what begins `bytes` later.
    [[nodiscard]] Origin after(std::size_t bytes) const {
        Origin rest = *this;
        if (file) rest.file_offset += bytes;
        return rest;
    }
};

struct Segment : boost::intrusive::set_base_hook<> {
    Segment(AddressRange where, Origin what) : range{where}, origin{std::move(what)} {}
    AddressRange range;
    Origin origin;
};

struct BeginOf {
    using type = std::uintptr_t;
    std::uintptr_t operator()(const Segment& segment) const noexcept { return segment.range.begin; }
};

/// Owns its segments. Not thread-safe.
class SegmentSet {
public:
    SegmentSet() = default;
    ~SegmentSet();
    SegmentSet(const SegmentSet&) = delete;
    SegmentSet& operator=(const SegmentSet&) = delete;

    /// The segment at `address`, or null.
    [[nodiscard]] const Segment* find(std::uintptr_t address) const noexcept;

    /// The segment at `address`, or else the next one above, or null.
    [[nodiscard]] const Segment* find_from(std::uintptr_t address) const noexcept;

    /// Whether segments cover all of the range.
    [[nodiscard]] bool covers(AddressRange range) const noexcept;

    /// Whether none touches it.
    [[nodiscard]] bool is_free(AddressRange range) const noexcept;

    /// The end of the highest run of `bytes` free addresses in `within`; nothing where there is none.
    [[nodiscard]] std::optional<std::uintptr_t> highest_gap(std::size_t bytes, AddressRange within) const noexcept;

    /// The range must be free.
    void insert(AddressRange range, Origin origin);

    /// Makes segments begin and end at the range's ends, where it cuts through some.
    void cut_at(AddressRange range);

    /// Removes the segments in a range that is cut out.
    void erase(AddressRange range) noexcept;

    /// Sets what may be done in a range that is cut out.
    void set_access(AddressRange range, Access access) noexcept;

    /// Makes one segment of neighbours in and around the range that differ in nothing.
    void merge(AddressRange range) noexcept;

    template <typename Visit>
    void for_each(Visit visit) const {
        for (const Segment& segment : segments_) visit(segment);
    }
    /// Those that the range touches.
    template <typename Visit>
    void for_each_in(AddressRange range, Visit visit) const {
        for (const Segment* segment = find_from(range.begin); segment != nullptr && segment->range.begin < range.end;
             segment = find_from(segment->range.end)) {
            visit(*segment);
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return segments_.size(); }

private:
    using Segments = boost::intrusive::set<Segment, boost::intrusive::key_of_value<BeginOf>>;

    [[nodiscard]] Segment* find(std::uintptr_t address) noexcept;
    void cut_at(std::uintptr_t address);

    Segments segments_;
};

}  // namespace faultline::space
