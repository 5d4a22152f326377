#include "store/swap_space.hpp"

#include "store/file_store.hpp"

#include <iterator>
#include <utility>

namespace faultline::store {
namespace {

// Half of what ext4 can hold in one file; another file is opened beyond. A larger region gets a file of its own.
constexpr std::uint64_t kFileBytes = std::uint64_t{8} << 40;

}  // namespace

/// A region's part of a file, given back when the store goes.
class SwapSpace::Lease final : public FileStore {
public:
    Lease(SwapSpace& space, File& file, std::uint64_t base, std::uint64_t bytes) noexcept
        : FileStore{file.file, base}, space_{space}, leased_from_{file}, bytes_{bytes} {}
    ~Lease() override {
        discard(0, bytes_);
        space_.give_back(leased_from_, base(), bytes_);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

private:
    SwapSpace& space_;
    File& leased_from_;
    std::uint64_t bytes_;
};

SwapSpace::SwapSpace(std::filesystem::path directory, const std::filesystem::path& file)
    : directory_{!directory.empty() ? std::move(directory)
                 : file.empty()     ? default_swap_directory()
                                    : std::filesystem::absolute(file).parent_path()} {
    files_.push_back(std::make_unique<File>(file.empty() ? SwapFile::unnamed_in(directory_) : SwapFile::named(file)));
}

std::unique_ptr<BackingStore> SwapSpace::open(std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    if (File* const file = file_with_room(bytes)) {
        return std::make_unique<Lease>(*this, *file, take(*file, bytes), bytes);
    }
    auto fresh = std::make_unique<File>(SwapFile::unnamed_in(directory_));
    const std::uint64_t offset = take(*fresh, bytes);  // throws for what no file can hold, and the file goes again
    File& file = *files_.emplace_back(std::move(fresh));
    return std::make_unique<Lease>(*this, file, offset, bytes);
}

/// A hole first, then the end of a file; null when a new file is needed.
SwapSpace::File* SwapSpace::file_with_room(std::uint64_t bytes) {
    for (const auto& file : files_) {
        for (const auto& hole : file->holes) {
            if (hole.second >= bytes) return file.get();
        }
    }
    for (const auto& file : files_) {
        if (file->end == 0 || (bytes <= kFileBytes && file->end <= kFileBytes - bytes)) return file.get();
    }
    return nullptr;
}

std::uint64_t SwapSpace::take(File& file, std::uint64_t bytes) {
    for (auto hole = file.holes.begin(); hole != file.holes.end(); ++hole) {
        if (hole->second < bytes) continue;
        const auto [offset, available] = *hole;
        file.holes.erase(hole);
        if (available > bytes) file.holes.emplace(offset + bytes, available - bytes);
        return offset;
    }
    file.file.extend_to(file.end + bytes);
    return std::exchange(file.end, file.end + bytes);
}

void SwapSpace::give_back(File& file, std::uint64_t offset, std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    auto next = file.holes.upper_bound(offset);
    if (next != file.holes.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == offset) {
            offset = before->first;
            bytes += before->second;
            file.holes.erase(before);
        }
    }
    if (next != file.holes.end() && offset + bytes == next->first) {
        bytes += next->second;
        next = file.holes.erase(next);
    }
    if (offset + bytes == file.end) {
        file.end = offset;
    } else {
        file.holes.emplace(offset, bytes);
    }
}

}  // namespace faultline::store
