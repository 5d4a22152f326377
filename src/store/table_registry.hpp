// TableRegistry: the block tables of the compressed stores of one pager, by id. An entry in the pool's memory names its
// table by the id, because it may outlive the table. A thread that spills or moves an entry counts itself as a user of
// the table meanwhile, so that the store is not destroyed. It knows nothing about entries: CompressedPool owns it.
#pragma once

#include "core/signal_safe.hpp"
#include "store/block_table.hpp"
#include "sys/lazy_array.hpp"
#include "sys/occupancy.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace faultline::store {

class TableRegistry {
public:
    static constexpr std::uint32_t kMostTables = std::uint32_t{1} << 20;

    /// Returns the id of a new table. Control path. Throws std::system_error (ENOMEM).
    [[nodiscard]] std::uint32_t add(BlockTable& table);

    /// Removes a table: no thread starts to use it any more, and those that use it have stopped when the call returns.
    /// Its id stays taken until `free`. Control path.
    [[nodiscard]] BlockTable& remove(std::uint32_t id) noexcept;
    /// Lets `add` return an id again. No entry names it any more.
    void free(std::uint32_t id) noexcept;

    /// Returns the table, of which the caller owns the store.
    [[nodiscard]] const BlockTable& at(std::uint32_t id) const FAULTLINE_SIGNAL_SAFE {
        return *members_[id].table.load(std::memory_order_relaxed);
    }

    /// Counts a user of the table. Returns null, and counts none, if the store is gone or is being destroyed.
    [[nodiscard]] BlockTable* start_using(std::uint32_t id) const FAULTLINE_SIGNAL_SAFE;
    void stop_using(std::uint32_t id) const FAULTLINE_SIGNAL_SAFE { members_[id].users.leave(); }

private:
    // Sequentially consistent: a user is counted before it loads `table`, and `table` is cleared before users are
    // awaited.
    struct Member {
        std::atomic<BlockTable*> table;  // null while the id is free
        sys::Occupancy users;            // threads that spill or move blocks of the table
    };

    sys::LazyArray<Member> members_{kMostTables, "compressed stores"};
    std::mutex mutex_;  // guards the members below
    std::vector<std::uint32_t> free_ids_;
    std::uint32_t next_id_ = 1;
};

}  // namespace faultline::store
