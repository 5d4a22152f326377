// SlotAudit: checks that all records of swap slots agree: the bits, sums and lists of the allocator, the words, the
// users, and the locations of pages. For tests; no thread uses the slots meanwhile.
#pragma once

#include "store/slot_allocator.hpp"
#include "store/swap_space.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace faultline::store {

class SlotAudit {
public:
    /// Returns what is wrong with an allocator. Empty: nothing.
    [[nodiscard]] static std::vector<std::string> of(SlotAllocator& allocator);
    /// Returns what is wrong with a swap space. Each count of users must equal the locations that name the page, and
    /// each allotted slot must belong to a page that a location names.
    [[nodiscard]] static std::vector<std::string> of(SwapSpace& space);

private:
    using ChunkNumber = SlotAllocator::ChunkNumber;

    explicit SlotAudit(SlotAllocator& allocator) : allocator_{allocator}, table_{allocator.table_} {}

    void check_lists();
    void check_list(const SlotAllocator::List& list, SlotChunk::State state, const std::string& name);
    void check_chunks();
    void check_chunk(ChunkNumber number, const SlotChunk& chunk);
    void check_sums();
    void count_locations(SwapSpace& space);
    void check_pages();
    void check_allotted_slots();

    void expect(bool holds, const std::string& what) {
        if (!holds) problems_.push_back(what);
    }
    template <typename Number>
    void expect_equal(Number found, Number wanted, const std::string& what) {
        expect(found == wanted, what + " is " + std::to_string(found) + " instead of " + std::to_string(wanted));
    }

    struct Page {
        PageShape shape{core::kUnitBytes};
        std::uint32_t locations = 0;
    };

    SlotAllocator& allocator_;
    SlotTable& table_;
    std::map<ChunkNumber, SlotChunk::State> listed_;
    std::uint64_t used_ = 0;
    std::uint64_t waste_ = 0;
    std::uint32_t empty_ = 0;
    std::map<SlotNumber, Page> pages_;  // by first slot
    std::vector<std::string> problems_;
};

}  // namespace faultline::store
