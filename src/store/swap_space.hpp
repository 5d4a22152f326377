// SwapSpace: the stores of one pager. All regions share its swap files and its memory for compressed pages, so a region
// costs no descriptor. At a fork the files are frozen: both processes read them and write to new ones. It opens files
// and gives space back; SlotWriter and SwapStore serve the faults.
#pragma once

#include "store/backing_store.hpp"
#include "store/slot_space.hpp"
#include "store/swap_directory.hpp"
#include "store/swap_file.hpp"
#include "store/swap_store.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace faultline::store {

class SwapSpace final : public StoreFactory {
public:
    /// The most frozen files. A fork beyond that moves the pages of some to the current file.
    static constexpr std::size_t kMostFrozen = 16;

    /// Opens the first file: `file`, or an unnamed file in `directory` if `file` is empty. An empty `directory` means
    /// the default one. `compressed_limit`: bytes of memory for compressed pages, see CompressedPool; 0: none.
    /// `most_compressed`: the highest limit that set_compressed_limit() can set, if that is more. Throws
    /// std::system_error.
    SwapSpace(std::filesystem::path directory, const std::filesystem::path& file, std::size_t compressed_limit = 0,
              std::size_t most_compressed = 0);
    /// The same over a device that cannot be shared with a child of fork: a store of the program.
    explicit SwapSpace(std::shared_ptr<SlotDevice> device, std::size_t compressed_limit = 0,
                       std::size_t most_compressed = 0);
    ~SwapSpace() override;

    [[nodiscard]] CompressedPool& pool() noexcept { return space_.pool(); }
    [[nodiscard]] SlotSpace& slots() noexcept { return space_; }

    /// The store must not outlive the swap space. `open` is for pages of 4 KiB.
    [[nodiscard]] std::unique_ptr<BackingStore> open(std::uint64_t bytes) override;
    [[nodiscard]] std::unique_ptr<BackingStore> open_for_pages(std::uint64_t bytes, std::size_t page_bytes) override;
    [[nodiscard]] std::unique_ptr<BackingStore> open_window(std::uint64_t bytes, std::size_t page_bytes) override;
    void reserve(std::uint64_t bytes) override;
    void unreserve(std::uint64_t bytes) noexcept override;

    void write(std::span<StoreWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] bool needs_upkeep() const FAULTLINE_SIGNAL_SAFE override {
        return space_.pool().enabled() && space_.pool().needs_upkeep();
    }
    int do_upkeep(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE override { return space_.pool().do_upkeep(queue); }

    /// Includes free space of the files, which is punched when it is needed.
    [[nodiscard]] std::uint64_t room() noexcept override;
    [[nodiscard]] std::uint64_t memory_used() const noexcept override { return space_.pool().stats().used_bytes; }

    [[nodiscard]] CompressedShare compressed_share() const FAULTLINE_SIGNAL_SAFE override {
        return space_.pool().share();
    }
    void set_compressed_limit(std::size_t bytes) FAULTLINE_SIGNAL_SAFE override { space_.pool().set_limit(bytes); }

    // Without a background thread, the thread that frees the last page of a piece punches it.

    void set_background_return(bool on) noexcept override { background_return_.store(on); }
    [[nodiscard]] bool has_space_to_return() const FAULTLINE_SIGNAL_SAFE override {
        return space_.allocator().worth_punching();
    }
    void return_some_space() override;

    // Frozen files are never written to. What is free in them at the fork is given back before it; what is freed later
    // stays allocated. This process closes a frozen file at a fork or at the end of a region, once none of its slots is
    // used. The space of a frozen file is freed when the last process closes it.

    /// Spills all compressed pages, so that both processes read the same frozen files, and opens the files that each
    /// side will write to. With kMostFrozen frozen files it first moves the pages of the emptier half, which may take
    /// long.
    void prepare_fork(WriteQueue& queue) override;
    void continue_as(ForkSide side) noexcept override;
    void cancel_fork() noexcept override;
    void speed_up_reads() noexcept override;
    [[nodiscard]] bool reads_by_kernel() const noexcept override { return !of_program_; }
    [[nodiscard]] bool holds_pages() const noexcept override { return space_.allocator().allotted_bytes() > 0; }

    /// Returns how many frozen files are still needed.
    [[nodiscard]] std::size_t frozen_files();

    /// Returns what is wrong with the records of slots. Empty: nothing. Each count of users must equal the locations
    /// that name the page, and each slot that is not free must belong to such a page. Nothing uses the slots meanwhile.
    [[nodiscard]] std::vector<std::string> problems();

private:
    class OpenStore;
    using DevicePointer = std::shared_ptr<SlotDevice>;
    struct Fork;

    [[nodiscard]] std::shared_ptr<SwapFile> open_first_file(const std::filesystem::path& file);
    [[nodiscard]] std::shared_ptr<SwapFile> open_file();
    [[nodiscard]] DevicePointer open_file_like(const SlotDevice& other);
    void ensure_shelves(std::uint64_t bytes);
    [[nodiscard]] std::uint64_t most_useful_bytes() const noexcept;
    [[nodiscard]] bool add_shelf(const std::shared_ptr<ShelfMemory>& memory, std::uint64_t least_bytes,
                                 std::uint64_t limit);
    static void place(SlotShelf& shelf, const DevicePointer& device, std::uint64_t offset) noexcept;
    void closed(SwapStore& store, std::uint64_t bytes) noexcept;
    void punch_unless_in_background() FAULTLINE_SIGNAL_SAFE;
    void drop_unused_shelves();
    void spill_all(WriteQueue& queue);
    void freeze_shelves() noexcept;
    void use_file_for_shelves() noexcept;
    void merge_frozen_files();
    void move_pages_of(const std::set<const SlotDevice*>& files);

    // Defined in swap_space_audit.cpp.
    [[nodiscard]] std::vector<std::string> problems_locked() const;
    void require_sound() const;
    void require_sound_if_last(const SwapStore& store);

    SwapDirectory directory_;
    SlotSpace space_;
    const bool of_program_;                       // the device is a store of the program, of a fixed size
    std::atomic<bool> background_return_{false};  // a thread calls return_some_space()
    std::mutex mutex_;                            // guards all members below; never held on the fault path
    std::optional<bool> direct_in_directory_;  // whether a file there bypassed the page cache; nothing before the first
    DevicePointer device_;                     // that is written to
    std::uint64_t reserved_ = 0;               // the size of all stores; of windows, the part in use
    std::set<SwapStore*> stores_;
    std::unique_ptr<Fork> fork_;  // set from prepare_fork until continue_as or cancel_fork
};

}  // namespace faultline::store
