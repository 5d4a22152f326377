// FakeMapper: a mapper without a kernel, and the mappers of a pager that has no shared regions. Its mappings are
// entries in its own tables, and it copies pages between arrays. It also plays the MMU: `load` and `store` do what the
// CPU would do, and report when it would fault. A lock per 4 KiB makes each access and each change of a mapping atomic,
// as in the kernel. Slots of the staging area have no lock: the pager must keep readers and writers of a slot apart,
// and ThreadSanitizer checks that it does.
//
// It counts and prints each violation of the mapper's contract by the pager. Whatever the pager promises its mapper and
// does not keep is counted and printed.
#pragma once

#include "core/units.hpp"
#include "mmu/mappers.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace faultline::test {

/// What happens to an access of the CPU.
enum class MmuAnswer : std::uint8_t { done, fault, bus_error };

/// What happens to a page's frame when the page is staged.
enum class StagedFrames : std::uint8_t {
    move,  ///< It moves to the slot, and comes back if it may, as under Eviction::move.
    copy,  ///< The same, but a copy comes back, as under Eviction::copy.
    stay,  ///< It stays in place, unmapped, as under Eviction::protect.
};

/// The record that outlives the mapper, for the test to read.
struct MmuRecord {
    std::atomic<int> broken_promises{0};
    std::atomic<std::int64_t> frames{0};  // in use now, in units of 4 KiB
    std::atomic<std::int64_t> most_frames{0};
    std::atomic<int> drop_calls{0};  // that freed pages of regions
    std::atomic<std::size_t> dropped_ranges{0};
};

class FakeMapper final : public mmu::Mappers, public mmu::Mapper {
public:
    struct Traits {
        StagedFrames frames = StagedFrames::move;
        /// Refuses one in so many staged pages; 0: none.
        unsigned refusals = 0;
        /// Answers one in so many questions whether mappings are short with yes; 0: none.
        unsigned shortages = 0;
    };

    FakeMapper(Traits traits, std::shared_ptr<MmuRecord> record);
    ~FakeMapper() override;

    /// Hooks between the installs of one fault. Set while no thread is running.
    struct InstallWatcher {
        /// Called before each install. Returns an error to fail it with, or 0.
        std::function<int(std::byte* page, mmu::Protection protection)> before = [](std::byte*, mmu::Protection) {
            return 0;
        };
        /// Called after each install that was not refused.
        std::function<void(std::byte* page, mmu::Protection protection)> after = [](std::byte*, mmu::Protection) {};
    };
    void watch_installs(InstallWatcher watcher) { installs_ = std::move(watcher); }

    // ---- the CPU's side

    [[nodiscard]] MmuAnswer load(const std::byte* address, std::uint64_t& word);
    [[nodiscard]] MmuAnswer store(std::byte* address, std::uint64_t word);
    /// Returns how often a page's waiting threads were woken. `sleep` blocks until that is no longer `seen`.
    [[nodiscard]] unsigned wakes(const std::byte* address);
    void sleep(const std::byte* address, unsigned seen);

    // ---- the pager's side

    [[nodiscard]] mmu::Mapper& private_mapper() noexcept override { return *this; }
    [[nodiscard]] mmu::Mapper& shared_mapper() noexcept override { return *this; }
    [[nodiscard]] int map_view(void*, std::size_t, const void*) noexcept override { return EOPNOTSUPP; }
    [[nodiscard]] int unmap_view(void*, std::size_t) noexcept override { return EOPNOTSUPP; }

    void watch_region(void* address, std::size_t bytes) override;
    void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void unwatch_region(void* address) noexcept override;
    void watch_staging(void* address, std::size_t bytes) override;
    [[nodiscard]] int install(void* page, const void* from, std::size_t bytes,
                              mmu::Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int restore(void* page, std::size_t bytes, Access access, bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool loses_dropped_bytes() const FAULTLINE_SIGNAL_SAFE override { return !frames_stay(); }
    [[nodiscard]] const std::byte* mapped_bytes(const void* page, void* slot,
                                                std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int set_access(void*, std::size_t, Access) noexcept override { return 0; }
    [[nodiscard]] bool maps_access_by_page() const FAULTLINE_SIGNAL_SAFE override { return frames_stay(); }
    [[nodiscard]] bool refusal_is_final() const FAULTLINE_SIGNAL_SAFE override { return !frames_stay(); }
    [[nodiscard]] std::optional<core::FaultOutcome> answer_forbidden(core::FaultAccess,
                                                                     Access) const FAULTLINE_SIGNAL_SAFE override {
        return core::FaultOutcome::access_violation;  // no test forbids an access
    }
    [[nodiscard]] mmu::Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                                    mmu::Protection protection) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool stages_in_place() const FAULTLINE_SIGNAL_SAFE override { return frames_stay(); }
    [[nodiscard]] bool should_unstage(bool writable, bool in_use) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int unstage(void* slot, void* page, std::size_t bytes, Access access,
                              bool dirty) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] const std::byte* staged_bytes(const void* page, void* slot,
                                                std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void release_copies(void* slots, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE override;
    void drop_slots(std::span<const iovec> slots) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool can_poison() const FAULTLINE_SIGNAL_SAFE override { return true; }
    void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Eviction eviction() const noexcept override;
    [[nodiscard]] bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE override;

private:
    enum class View : std::uint8_t { absent, read_only, writable, hidden, poisoned };
    /// 4 KiB of a region.
    struct Unit {
        std::atomic<bool> locked{false};
        View view = View::absent;
        std::atomic<unsigned> wakes{0};
        std::array<std::byte, core::kUnitBytes> bytes{};
    };
    struct Watched {
        std::uintptr_t begin;
        std::size_t units;
        std::unique_ptr<Unit[]> unit;
        std::atomic<bool> gone{false};
    };
    static constexpr std::size_t kMostRegions = 4096;  // over a mapper's life; none is freed earlier

    [[nodiscard]] bool frames_stay() const noexcept { return traits_.frames == StagedFrames::stay; }
    /// True if the mapping of a page with this access must refuse writes.
    [[nodiscard]] bool carries_no_writes(Access access) const noexcept {
        return maps_access_by_page() && access != Access::read_write;
    }
    [[nodiscard]] Unit* find(std::uintptr_t address) const noexcept;
    [[nodiscard]] Unit& unit_at(std::uintptr_t address) noexcept;
    template <typename Visit>
    void for_units(const void* page, std::size_t bytes, Visit visit) noexcept;
    [[nodiscard]] bool stage_page(std::uintptr_t page, std::byte* slot, std::size_t bytes,
                                  mmu::Protection protection) noexcept;
    void scribble_slot(std::byte* slot, bool must_hold) noexcept;
    [[nodiscard]] bool in_staging(std::uintptr_t address) const noexcept;
    [[nodiscard]] std::atomic<bool>& slot_in_use(std::uintptr_t slot) noexcept;
    void take_frame() noexcept;
    void give_frame() noexcept;
    void broken(const char* promise) noexcept;

    Traits traits_;
    InstallWatcher installs_;
    std::shared_ptr<MmuRecord> record_;
    std::array<std::atomic<Watched*>, kMostRegions> regions_{};
    std::atomic<std::size_t> region_count_{0};
    std::uintptr_t staging_begin_ = 0;
    std::size_t staging_units_ = 0;
    std::unique_ptr<std::atomic<bool>[]> slots_;
};

}  // namespace faultline::test
