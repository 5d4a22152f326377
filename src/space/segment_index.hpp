// SegmentIndex: an immutable sorted copy of a space's segments, for the fault path: SegmentStore and the reports of
// violations. MappedSegments publishes a new one after each change of its SegmentSet. It holds the files open that
// pages come from. Lookups are signal-safe; construction allocates.
#pragma once

#include "core/signal_safe.hpp"
#include "space/segment.hpp"

#include <faultline/access_violation.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::space {

class SegmentIndex {
public:
    struct Entry {
        AddressRange range;
        Access access = Access::none;
        bool guard = false;
        bool shared = false;  ///< Writes go to the file through the space's own store (not through a SharedFile).
        std::array<char, AccessViolation::kMostNameBytes> name{};
        const SourceFile* file = nullptr;  ///< Null: no file.
        std::uint64_t file_offset = 0;
        std::uint64_t file_limit = 0;

        [[nodiscard]] std::uint64_t offset_of(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
            return file_offset + (address - range.begin);
        }
    };

    SegmentIndex() = default;
    explicit SegmentIndex(const SegmentSet& segments);

    /// Returns the segment that contains `address`, or null. Signal-safe.
    [[nodiscard]] const Entry* find(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// Returns whether any segment has `shared` set.
    [[nodiscard]] bool any_shared() const FAULTLINE_SIGNAL_SAFE { return any_shared_; }

private:
    bool any_shared_ = false;
    std::vector<Entry> entries_;
    std::vector<std::shared_ptr<const SourceFile>> files_;
};

}  // namespace faultline::space
