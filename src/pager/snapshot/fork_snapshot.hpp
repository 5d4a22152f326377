// ForkSnapshot: takes one pager, which children inherit, over a fork. Forking calls these functions for all such pagers
// of the process, in the order in which they stand here.
#pragma once

#include "pager/core.hpp"
#include "pager/delivery/fault_delivery.hpp"
#include "pager/delivery/pager_threads.hpp"
#include "pager/evict/batch_finisher.hpp"
#include "pager/evict/cleaner.hpp"
#include "pager/fault/read_ahead.hpp"
#include "pager/snapshot/kept_pages.hpp"
#include "pager/snapshot/plain_memory.hpp"
#include "pager/snapshot/standstill_writer.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::pager {

class ForkSnapshot {
public:
    ForkSnapshot(PagerCore& core, FaultDelivery& delivery, PagerThreads& threads, BatchFinisher& finisher,
                 Cleaner& cleaner, ReadAhead& read_ahead) noexcept
        : core_{core},
          delivery_{delivery},
          threads_{threads},
          finisher_{finisher},
          cleaner_{cleaner},
          read_ahead_{read_ahead},
          kept_{core},
          plain_{core} {}

    /// Takes the locks of the control path, so that no control call is in the middle of a change.
    void lock();
    void unlock() noexcept;

    [[nodiscard]] KeptPages& kept_pages() noexcept { return kept_; }

    /// At a standstill: freezes the swap files. The child keeps the resident pages (KeptPages), or all dirty pages are
    /// written first. If that fails, a message says so, and the child has no pager: its memory is ordinary memory, or
    /// inaccessible where that is not possible either.
    void prepare() noexcept;

    void go_on_in_parent() noexcept;

    /// In the child, for every pager before anything is mapped: makes the staging area inaccessible.
    void close_in_child() noexcept;

    /// In the child, if there is no pager: returns true if it has the memory all the same.
    [[nodiscard]] bool left_plain_memory() const noexcept { return inheritance_ == Inheritance::plain_memory; }

    /// In the child: opens new descriptors and threads for the same regions at the same addresses. Makes all pages
    /// absent, unless it keeps them. Throws std::system_error: then the child must end.
    void start_in_child();

    [[nodiscard]] const PagerCore& core() const noexcept { return core_; }

private:
    enum class Inheritance : std::uint8_t {
        nothing,       // the regions are inaccessible in the child
        by_store,      // the pager; each page is in the store
        kept_pages,    // the pager and its resident pages
        plain_memory,  // no pager
    };

    /// True if the child has copies of the parent's regions and of its staging area.
    [[nodiscard]] bool shares_memory() const noexcept {
        return inheritance_ == Inheritance::kept_pages || inheritance_ == Inheritance::plain_memory;
    }
    void prepare_pager();
    void prepare_without_pager(const char* why) noexcept;
    void record_stacks_in_child(const trace::StackRecorder* parents);
    void go_on_without_pager(const char* why);
    [[nodiscard]] bool much_to_write() const;
    void make_writer();
    void write_dirty(store::WriteQueue& queue);
    void start_without_pages(std::vector<core::PageRef>& pinned);
    void map_again(Region& region);
    void map_window_again(Region& region);
    void set_access_again(Region& region);
    void set_access_again(Region& region, core::PageRange range);
    void map_views_again();
    void make_absent(Region& region, std::vector<core::PageRef>& pinned);
    void bring_back(core::PageRef pinned);

    PagerCore& core_;
    FaultDelivery& delivery_;
    PagerThreads& threads_;
    BatchFinisher& finisher_;
    Cleaner& cleaner_;
    ReadAhead& read_ahead_;
    KeptPages kept_;
    PlainMemory plain_;
    bool may_keep_pages_ = false;                     // the child of this fork
    Inheritance inheritance_ = Inheritance::nothing;  // of the child of this fork, or of this process
    // From before fork until after it: a thread that stays would not see what the program changes for its threads, such
    // as a table of descriptors.
    std::unique_ptr<StandstillWriter> writer_;
};

}  // namespace faultline::pager
