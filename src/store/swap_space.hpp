// SwapSpace: the swap files of one pager, and which part of which file belongs to which region. Thousands of regions
// share a file, so that they do not cost a descriptor each. At a fork the files are frozen, for both processes to read,
// and each goes on in new ones. Control path only; the stores it opens serve the faults.
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
    /// Layers that are kept frozen, besides the one before the first fork. More are merged when there is another fork.
    static constexpr std::size_t kMostFrozen = 16;

    /// Opens the first file. `file` empty: unnamed in `directory` (empty: the default one). Throws std::system_error.
    SwapSpace(std::filesystem::path directory, const std::filesystem::path& file);

    ~SwapSpace() override;

    /// The store must not outlive the swap space; destroying it gives its space back.
    [[nodiscard]] std::unique_ptr<BackingStore> open(std::uint64_t bytes) override;

    /// What was freed and not punched counts: it is punched when it is needed.
    [[nodiscard]] std::uint64_t room() noexcept override;

    // Without a thread in the background, the thread that frees the last page of a MiB punches the MiB.

    void set_background_return(bool on) noexcept override { background_return_.store(on); }
    [[nodiscard]] bool has_space_to_return() const FAULTLINE_SIGNAL_SAFE override { return space_to_return_.load(); }
    void return_some_space() override;

    // Frozen files are never written to and get no new regions. What was freed in one before the fork is of no use to
    // either process: as much of it as is worth a call the parent punches afterwards, and the child nothing. What is
    // freed later stays. This process closes one when, at a fork or at the end of a
    // region, no page of a living region is in it; but the file from before the first fork when the regions are gone
    // that were there then, since what is in it is not known page by page. Space in a frozen file goes with the last
    // process that has it open.

    /// Opens the files that each side will write to. With kMostFrozen layers, it first moves the half that holds least
    /// to the current files, which may take its time.
    void prepare_fork() override;
    void continue_as(ForkSide side) noexcept override;
    void cancel_fork() noexcept override;

    /// Layers that are frozen and still needed, the one before the first fork too.
    [[nodiscard]] std::size_t frozen_layers();

private:
    class Lease;
    struct File {
        File(SwapFile opened, std::uint64_t in_layer) : file{std::move(opened)}, layer{in_layer} {}
        SwapFile file;
        std::uint64_t layer;
        std::uint64_t end = 0;                         // bytes handed out so far, free ones in between included
        std::map<std::uint64_t, std::uint64_t> holes;  // offset -> bytes, neighbours merged
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
    std::atomic<bool> background_return_{false};
    std::atomic<bool> space_to_return_{false};
    std::mutex mutex_;         // guards everything below; never held on the fault path
    Files files_;              // those that are written to
    std::uint64_t layer_ = 0;  // of those
    std::set<Lease*> leases_;
    Files freed_before_fork_;     // frozen, with something left to punch
    std::unique_ptr<Fork> fork_;  // from prepare_fork on, until it is known how it went
};

}  // namespace faultline::store
