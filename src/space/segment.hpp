// Segment: a run of a space's pages with one origin and one protection. SegmentSet: the segments of a space, which do
// not overlap. Bookkeeping only, for the control path: MappedSegments applies changes to the pager, and SegmentIndex is
// the copy for the fault path.
#pragma once

#include "core/address_range.hpp"
#include "space/source_file.hpp"

#include <faultline/segment_info.hpp>
#include <faultline/types.hpp>

#include <boost/intrusive/set.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline::space {

using core::AddressRange;  // of whole pages

class SharedFile;

/// What holds the bytes of a segment. AddressSpace has segments of the pager only.
enum class Keeper : std::uint8_t {
    pager,
    nobody,  ///< Private memory that the program could not write to yet: zeros, mapped by the kernel.
    kernel,
};

/// What a child of fork gets of a segment; default: its contents. Set in a MappingWindow only.
struct ForkRule {
    bool wiped = false;     ///< Zeros (MADV_WIPEONFORK).
    bool left_out = false;  ///< Nothing (MADV_DONTFORK).
    friend bool operator==(ForkRule, ForkRule) noexcept = default;
};

/// The kernel's mapping of the file that a segment of the pager was filled from. Nothing uses it as long as the pager
/// has the segment. It takes the segment's place when the file's bytes are to come back. Set in a MappingWindow only.
struct FileMapping {
    std::uintptr_t address = 0;  ///< Of the page that belongs to the segment's first one. 0: there is no file.
    std::uint64_t serial = 0;    ///< Of the mmap call.

    [[nodiscard]] bool exists() const noexcept { return address != 0; }
    [[nodiscard]] FileMapping after(std::size_t bytes) const noexcept {
        return exists() ? FileMapping{address + bytes, serial} : FileMapping{};
    }
    friend bool operator==(FileMapping, FileMapping) noexcept = default;
};

/// Everything about a segment but its addresses.
struct Origin {
    static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

    SegmentKind kind = SegmentKind::anonymous;
    bool shared = false;  ///< Writes go to the file.
    bool guard = false;   ///< The guard below the stack: no page is accessible, and nothing can be mapped there.
    Keeper keeper = Keeper::pager;
    Access access = Access::read_write;
    ForkRule fork{};
    FileMapping file_mapping{};
    std::string name{};
    std::shared_ptr<const SourceFile> file{};
    std::shared_ptr<SharedFile> pages{};  ///< The file's pages, if shared. Null: the segment has pages of its own.
    std::uint64_t file_offset = 0;        ///< Of the first page, in bytes.
    std::uint64_t file_limit = kNoLimit;  ///< File offset from which on the pages are zeros, in bytes.

    /// Returns the origin of the part that begins `bytes` later.
    [[nodiscard]] Origin after(std::size_t bytes) const {
        Origin rest = *this;
        if (file) rest.file_offset += bytes;
        rest.file_mapping = file_mapping.after(bytes);
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

    /// Returns the segment that contains `address`, or null.
    [[nodiscard]] const Segment* find(std::uintptr_t address) const noexcept;

    /// Returns the segment that contains `address`, else the next one above, else null.
    [[nodiscard]] const Segment* find_from(std::uintptr_t address) const noexcept;

    /// Returns whether segments cover all of the range.
    [[nodiscard]] bool covers(AddressRange range) const noexcept;

    /// Returns whether no segment overlaps the range.
    [[nodiscard]] bool is_free(AddressRange range) const noexcept;

    /// Returns the end of the highest gap of at least `bytes` in `within`; nothing if there is none.
    [[nodiscard]] std::optional<std::uintptr_t> highest_gap(std::size_t bytes, AddressRange within) const noexcept;

    /// Adds a segment. The range must be free.
    void insert(AddressRange range, Origin origin);

    /// Splits the segments that contain the range's begin or end, so that both are segment boundaries.
    void split_at(AddressRange range);

    /// Removes the segments in the range, whose ends are segment boundaries (split_at).
    void erase(AddressRange range) noexcept;

    /// Sets the access of the segments in the range, whose ends are segment boundaries (split_at).
    void set_access(AddressRange range, Access access) noexcept;

    /// Sets the keeper of the segments in the range, whose ends are segment boundaries (split_at).
    void set_keeper(AddressRange range, Keeper keeper) noexcept;

    /// Sets the file mapping of the segments in the range, whose ends are segment boundaries (split_at). `mapping`:
    /// that of the range's first page.
    void set_file_mapping(AddressRange range, FileMapping mapping) noexcept;

    /// Calls `change(rule)` for the fork rules of the segments in the range, whose ends are segment boundaries
    /// (split_at).
    template <typename Change>
    void change_fork_rules(AddressRange range, Change change) {
        std::for_each(segments_.lower_bound(range.begin), segments_.lower_bound(range.end),
                      [&](Segment& segment) { change(segment.origin.fork); });
    }

    /// Merges adjacent segments in and around the range that differ only in their addresses.
    void merge(AddressRange range) noexcept;

    template <typename Visit>
    void for_each(Visit visit) const {
        for (const Segment& segment : segments_) visit(segment);
    }
    /// Visits the segments that overlap the range, in order.
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
    void split_at(std::uintptr_t address);

    Segments segments_;
};

}  // namespace faultline::space
