// LocationAudit: checks that slots and locations agree. The users of each page are the locations that name it, and each
// slot that is not free belongs to such a page. SwapSpace adds its stores. Control path.
#pragma once

#include "store/findings.hpp"
#include "store/slot_space.hpp"
#include "store/slot_table.hpp"
#include "store/swap_store.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace faultline::store {

class LocationAudit {
public:
    explicit LocationAudit(const SlotTable& table) noexcept : table_{table} {}

    /// Adds the locations of a store. The store does not change until the end of the audit.
    void add(const SwapStore& store);

    /// Checks the pages that the locations name. All stores that share these pages were added. Compressed blocks may be
    /// moved or spilled meanwhile.
    void check_pages();
    /// Checks that no other slot is in use. All stores were added, and nothing uses the slots meanwhile.
    void check_other_slots();

    /// Returns what the checks found. Empty: nothing.
    [[nodiscard]] std::vector<std::string> problems() noexcept { return findings_.take(); }

private:
    struct Page {
        PageShape shape{core::kUnitBytes};
        std::uint32_t locations = 0;
    };

    void check_page(SlotNumber first, const Page& page);
    void check_chunk(SlotNumber first, const SlotShelf& shelf, const SlotChunk& chunk);
    [[nodiscard]] bool in_page(SlotNumber slot) const;

    const SlotTable& table_;
    Findings findings_;
    std::map<SlotNumber, Page> pages_;  // by first slot
};

}  // namespace faultline::store
