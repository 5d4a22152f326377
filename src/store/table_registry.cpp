#include "store/table_registry.hpp"

#include "sys/error.hpp"

#include <cerrno>

namespace faultline::store {

std::uint32_t TableRegistry::add(BlockTable& table) {
    const std::lock_guard lock{mutex_};
    if (free_ids_.empty()) {
        if (next_id_ == kMostTables)
            sys::throw_error(ENOMEM, "too many compressed stores in one pager: at most 1048575");
        free_ids_.reserve(next_id_);  // so that free() cannot fail
        free_ids_.push_back(next_id_++);
    }
    const std::uint32_t id = free_ids_.back();
    free_ids_.pop_back();
    members_[id].table.store(&table);
    return id;
}

BlockTable& TableRegistry::remove(std::uint32_t id) noexcept {
    Member& member = members_[id];
    BlockTable& table = *member.table.exchange(nullptr);
    member.users.wait_until_none();
    return table;
}

void TableRegistry::free(std::uint32_t id) noexcept {
    const std::lock_guard lock{mutex_};
    free_ids_.push_back(id);
}

BlockTable* TableRegistry::start_using(std::uint32_t id) const FAULTLINE_SIGNAL_SAFE {
    Member& member = members_[id];
    member.users.enter();
    BlockTable* const table = member.table.load();
    if (table == nullptr) member.users.leave();
    return table;
}

}  // namespace faultline::store
