// KeptPages: lets a child of fork keep the resident pages of its parent. The kernel shares their memory until one of
// the two processes writes to it, so the fork writes nothing to the store and the child reads nothing back.
//
// Where that does not work, ForkSnapshot writes all dirty pages, and the child starts with every page absent: under
// Delivery::sigsegv, whose pages lie in a file that both processes would share; with shared regions, for the same
// reason; under strict overcommit accounting, which would count the whole of each region for the child; and where the
// owner of the pager's limit has no room for the child's pages (ask_for_room).
#pragma once

#include "pager/core.hpp"
#include "sys/userfaultfd.hpp"

#include <cstdint>
#include <functional>

namespace faultline::pager {

/// Control path, around fork, with the locks that ForkSnapshot takes.
class KeptPages {
public:
    /// Returns true if a child may have `bytes` of resident pages from its start. Called before each fork. Must not
    /// wait.
    using Room = std::function<bool(std::uint64_t bytes)>;

    explicit KeptPages(PagerCore& core) noexcept : core_{core} {}

    /// Sets whom to ask; by default there is room. Not during a fork.
    void ask_for_room(Room room) { room_ = std::move(room); }

    /// Returns true if a child may keep the pages: there is room for them, and `share` is likely to work. Takes no
    /// locks, so the resident pages may change meanwhile.
    [[nodiscard]] bool may_share() const;

    /// At a standstill, before fork: makes the kernel give the child copies of all regions and of the staging area.
    /// Returns false, with nothing changed, if that is not possible. Does not ask for room.
    [[nodiscard]] bool share();
    /// Ends that, in the parent after fork, or if there is no fork.
    void end_sharing() noexcept;

    /// In the child, with its userfaultfd: makes the copies the memory of its regions. Throws std::system_error.
    void take_over(sys::Userfaultfd& uffd) const;

private:
    [[nodiscard]] int hide_from_children() const noexcept;
    static void watch_again(const Region& region, sys::Userfaultfd& uffd);
    static void protect_clean_pages(const Region& region);
    void forget_poison(const Region& region) const;

    PagerCore& core_;
    Room room_;
};

}  // namespace faultline::pager
