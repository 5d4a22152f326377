// SwapSpace: the swap files of one pager, and the part of a file that each region uses. Thousands of regions share a
// file, so a region costs no descriptor. At a fork the files are frozen: both processes read them and write to new
// ones. Control path only; the stores that it opens serve the faults.
#pragma once

#include "store/backing_store.hpp"
#include "store/layered_store.hpp"
#include "store/swap_directory.hpp"
#include "store/swap_file.hpp"

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace faultline::store {

class SwapSpace final : public StoreFactory {
public:
    /// The most frozen layers, not counting the one from before the first fork. A fork beyond that merges layers.
    static constexpr std::size_t kMostFrozen = 16;

    /// Opens the first file: `file`, or an unnamed file in `directory` if `file` is empty. An empty `directory` means
    /// the default one. Throws std::system_error.
    SwapSpace(std::filesystem::path directory, const std::filesystem::path& file);

    ~SwapSpace() override;

    /// The store must not outlive the swap space. Its destructor returns its space.
    [[nodiscard]] std::unique_ptr<BackingStore> open(std::uint64_t bytes) override;

    /// Includes freed space that is not punched yet: it is punched when needed.
    [[nodiscard]] std::uint64_t room() noexcept override;

    // Without a background thread, the thread that frees the last page of a MiB punches it.

    void set_background_return(bool on) noexcept override { background_return_.store(on); }
    [[nodiscard]] bool has_space_to_return() const FAULTLINE_SIGNAL_SAFE override { return space_to_return_.load(); }
    void return_some_space() override;

    // Frozen files are never written to and get no new regions. Space freed in them before the fork is useless to both
    // processes: after the fork the parent punches as much of it as is worth a call, the child nothing. Space freed
    // after the fork stays allocated.
    //
    // This process closes a frozen file at a fork or at the end of a region, once no living region has a page in it.
    // Pages in the file from before the first fork are not tracked. It is closed when all regions of that time are
    // gone. The space of a frozen file is freed when the last process closes it.

    /// Opens the files that each side will write to. With kMostFrozen layers it first moves the emptier half of them to
    /// the current files, which may take long.
    void prepare_fork() override;
    void continue_as(ForkSide side) noexcept override;
    void cancel_fork() noexcept override;

    /// Returns how many frozen layers are still needed, including the one from before the first fork.
    [[nodiscard]] std::size_t frozen_layers();

private:
    class Lease;
    struct File {
        File(SwapFile opened, std::uint64_t in_layer) : file{std::move(opened)}, layer{in_layer} {}
        SwapFile file;
        std::uint64_t layer;
        std::uint64_t end = 0;                         // bytes handed out so far, including free holes
        std::map<std::uint64_t, std::uint64_t> holes;  // offset -> bytes, adjacent holes merged
    };
    using Files = std::vector<std::shared_ptr<File>>;
    struct Fork;

    [[nodiscard]] std::shared_ptr<File> open_file(std::uint64_t layer) const;
    [[nodiscard]] static FilePart part_in(const std::shared_ptr<File>& file, std::uint64_t offset) noexcept;
    [[nodiscard]] static std::shared_ptr<File> file_with_room(const Files& files, std::uint64_t bytes);
    [[nodiscard]] static std::uint64_t take(File& file, std::uint64_t bytes);
    [[nodiscard]] std::unique_ptr<Lease> lease(const std::shared_ptr<File>& file, std::uint64_t bytes);
    void give_back(Lease& lease);
    void merge_layers();
    void freed_in(SwapFile& file) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::shared_ptr<File> file_to_punch();
    void freeze_files(ForkSide side) noexcept;
    void plan_move(Fork& fork, Lease& lease) const;

    SwapDirectory directory_;
    std::atomic<bool> background_return_{false};  // a thread calls return_some_space()
    std::atomic<bool> space_to_return_{false};    // it should do so soon
    std::mutex mutex_;                            // guards all members below; never held on the fault path
    Files files_;                                 // the files that are written to
    std::uint64_t layer_ = 0;                     // the layer of files_
    std::set<Lease*> leases_;
    Files freed_before_fork_;     // frozen files with ranges left to punch
    std::unique_ptr<Fork> fork_;  // set from prepare_fork until continue_as or cancel_fork
};

}  // namespace faultline::store
