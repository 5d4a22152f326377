// CompressedSpace: a StoreFactory that puts a compressed store in front of each store of another factory. All
// compressed stores use one pool. The pager creates it if Config::compressed_limit is not 0. Control path only; the
// stores that it opens serve the faults.
#pragma once

#include "store/backing_store.hpp"
#include "store/compressed_pool.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace faultline::store {

class CompressedSpace final : public StoreFactory {
public:
    /// `capacity` and `limit` are those of CompressedPool. Throws std::system_error.
    CompressedSpace(std::unique_ptr<StoreFactory> behind, std::size_t capacity, std::size_t limit)
        : behind_{std::move(behind)}, pool_{capacity, limit} {}

    [[nodiscard]] CompressedPool& pool() noexcept { return pool_; }

    /// The store must not outlive the space. `open` serves pages of any size, but compresses 4 KiB at a time.
    [[nodiscard]] std::unique_ptr<BackingStore> open(std::uint64_t bytes) override;
    [[nodiscard]] std::unique_ptr<BackingStore> open_for_pages(std::uint64_t bytes, std::size_t page_bytes) override;

    [[nodiscard]] bool needs_upkeep() const FAULTLINE_SIGNAL_SAFE override { return pool_.wants_spill(); }
    int do_upkeep(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE override { return pool_.spill_some(queue); }
    void set_background_return(bool on) noexcept override { behind_->set_background_return(on); }
    [[nodiscard]] bool has_space_to_return() const FAULTLINE_SIGNAL_SAFE override {
        return behind_->has_space_to_return();
    }
    void return_some_space() override { behind_->return_some_space(); }
    [[nodiscard]] std::uint64_t room() noexcept override { return behind_->room(); }
    [[nodiscard]] std::uint64_t memory_used() const noexcept override { return pool_.stats().used_bytes; }

    /// Spills everything first, so that parent and child read the same frozen files. The pool is empty afterwards, in
    /// the parent and in the child.
    void prepare_fork() override;
    void continue_as(ForkSide side) noexcept override { behind_->continue_as(side); }
    void cancel_fork() noexcept override { behind_->cancel_fork(); }

private:
    int spill_all(WriteQueue& queue);

    std::unique_ptr<StoreFactory> behind_;
    CompressedPool pool_;
};

}  // namespace faultline::store
