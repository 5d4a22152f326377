// SegmentIndex: the segments of a space as the fault path looks them up: a sorted copy that never changes. It keeps the
// files open that pages come from.
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
        bool shared = false;  ///< What is written goes to the file, by way of the space's store.
        std::array<char, AccessViolation::kMostNameBytes> name{};
        const SourceFile* file = nullptr;  ///< Null: the pages come from no file.
        std::uint64_t file_offset = 0;
        std::uint64_t file_limit = 0;

        [[nodiscard]] std::uint64_t offset_of(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
            return file_offset + (address - range.begin);
        }
    };

    SegmentIndex() = default;
    explicit SegmentIndex(const SegmentSet& segments);

    /// The segment at `address`, or null. Signal-safe.
    [[nodiscard]] const Entry* find(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// Whether pages of any segment are written to its file.
    [[nodiscard]] bool any_shared() const FAULTLINE_SIGNAL_SAFE { return any_shared_; }

private:
    bool any_shared_ = false;
    std::vector<Entry> entries_;
    std::vector<std::shared_ptr<const SourceFile>> files_;
};

}  // namespace faultline::space
