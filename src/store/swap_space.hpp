// SwapSpace: the swap files of one pager, and which part of which file belongs to which region. Thousands of regions
// share a file, so that they do not cost a descriptor each. Control path only; the stores it opens serve the faults.
#pragma once

#include "store/backing_store.hpp"
#include "store/swap_file.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace faultline::store {

class SwapSpace final : public StoreFactory {
public:
    /// Opens the first file. `file` empty: unnamed in `directory` (empty: the default one). Throws std::system_error.
    SwapSpace(std::filesystem::path directory, const std::filesystem::path& file);

    /// The store must not outlive the swap space; destroying it gives its space back.
    [[nodiscard]] std::unique_ptr<BackingStore> open(std::uint64_t bytes) override;

private:
    class Lease;
    struct File {
        explicit File(SwapFile opened) : file{std::move(opened)} {}
        SwapFile file;
        std::uint64_t end = 0;                         // bytes handed out so far, free ones in between included
        std::map<std::uint64_t, std::uint64_t> holes;  // offset -> bytes, neighbours merged
    };

    [[nodiscard]] File* file_with_room(std::uint64_t bytes);
    [[nodiscard]] std::uint64_t take(File& file, std::uint64_t bytes);
    void give_back(File& file, std::uint64_t offset, std::uint64_t bytes);

    std::filesystem::path directory_;
    std::mutex mutex_;                          // guards everything below; never held on the fault path
    std::vector<std::unique_ptr<File>> files_;  // a File never moves: stores point to it
};

}  // namespace faultline::store
