#include "managed_pager.hpp"

#include "names.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

namespace faultline::python {
namespace {

namespace py = pybind11;

/// The pages that a range touches, or those that lie wholly in it.
struct Pages {
    std::byte* first;
    std::size_t bytes;
};

std::byte* pointer(std::uintptr_t address) noexcept { return reinterpret_cast<std::byte*>(address); }

Pages touched_pages(Range range, std::size_t page_size) noexcept {
    const std::uintptr_t begin = range.address & ~(page_size - 1);
    const std::uintptr_t end = (range.address + range.bytes + page_size - 1) & ~(page_size - 1);
    return {pointer(begin), end - begin};
}

/// Clears the range, and frees the pages that are wholly in it.
void clear(Region& region, Range range) {
    const std::size_t page_size = region.page_size();
    const std::uintptr_t end = range.address + range.bytes;
    const std::uintptr_t first_whole = std::min(end, (range.address + page_size - 1) & ~(page_size - 1));
    const std::uintptr_t last_whole = std::max(first_whole, end & ~(page_size - 1));
    std::memset(pointer(range.address), 0, first_whole - range.address);
    if (last_whole > first_whole) region.discard(pointer(first_whole), last_whole - first_whole);
    std::memset(pointer(last_whole), 0, end - last_whole);
}

}  // namespace

ManagedRegion::ManagedRegion(Region region, std::size_t bytes, std::shared_ptr<RegionsByEnd> regions)
    : region_{std::move(region)}, bytes_{bytes}, regions_{std::move(regions)} {}

ManagedRegion::~ManagedRegion() {
    regions_->erase(last());  // before the addresses can belong to another region
    const py::gil_scoped_release released;
    region_ = Region{};
}

ManagedPager::ManagedPager(const Config& config) {
    const py::gil_scoped_release released;
    pager_ = std::make_shared<Pager>(config);
}

void ManagedPager::close() {
    std::shared_ptr<Pager> last = std::move(pager_);
    pager_.reset();
    const py::gil_scoped_release released;
    last.reset();
}

std::shared_ptr<Pager> ManagedPager::pager() const {
    if (!pager_) throw py::value_error("the pager is closed");
    return pager_;
}

std::shared_ptr<ManagedRegion> ManagedPager::region_of(Range range) const {
    (void)pager();  // throws if it is closed
    if (range.bytes == 0) return nullptr;
    const auto found = regions_->lower_bound(range.address);
    if (found != regions_->end()) {
        std::shared_ptr<ManagedRegion> region = found->second.lock();
        const bool has_begin = region && region->begin() <= range.address;
        if (has_begin && range.bytes <= region->last() - range.address + 1) return region;
    }
    throw py::value_error("the array is not in memory of this pager");
}

std::shared_ptr<ManagedRegion> ManagedPager::reserve(std::size_t bytes, std::size_t page_size) {
    const std::shared_ptr<Pager> pager = this->pager();
    Region region;
    {
        const py::gil_scoped_release released;
        region = pager->reserve(bytes, {.page_size = page_size});
    }
    auto managed = std::make_shared<ManagedRegion>(std::move(region), bytes, regions_);
    regions_->insert_or_assign(managed->last(), managed);
    return managed;
}

void ManagedPager::advise(Range range, const std::string& advice) const {
    const Advice parsed = named<Advice>(advice, "advice");
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    if (!managed) return;
    const py::gil_scoped_release released;
    managed->region().advise(pointer(range.address), range.bytes, parsed);
}

void ManagedPager::wait_for_advised(Range range) const {
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    if (!managed) return;
    const py::gil_scoped_release released;
    managed->region().wait_for_advised(pointer(range.address), range.bytes);
}

void ManagedPager::discard(Range range) const {
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    if (!managed) return;
    // Nothing else is on the rest of the last page.
    if (range.address + range.bytes == managed->begin() + managed->bytes()) {
        range.bytes = managed->last() - range.address + 1;
    }
    const py::gil_scoped_release released;
    clear(managed->region(), range);
}

void ManagedPager::retry(Range range) const {
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    if (!managed) return;
    const py::gil_scoped_release released;
    const Pages pages = touched_pages(range, managed->region().page_size());
    managed->region().retry(pages.first, pages.bytes);
}

Pin ManagedPager::pin(Range range, const std::string& purpose) const {
    const PinFor parsed = named<PinFor>(purpose, "purpose");
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    if (!managed) return Pin{};
    const py::gil_scoped_release released;
    return managed->region().pin(pointer(range.address), range.bytes, parsed);
}

void ManagedPager::residency(Range range, const py::buffer& resident) const {
    constexpr std::size_t kMostCells = 1024;
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    if (!managed) return;
    const std::size_t page_size = managed->region().page_size();
    const Pages pages = touched_pages(range, page_size);
    const py::buffer_info info = resident.request(true);
    auto* const out = static_cast<unsigned char*>(info.ptr);
    const std::size_t count = pages.bytes / page_size;
    if (info.itemsize != 1 || static_cast<std::size_t>(info.size) != count) {
        throw py::value_error("the buffer must have one byte for each page");
    }
    const py::gil_scoped_release released;
    for (std::size_t done = 0; done < count; done += kMostCells) {
        std::array<ResidencyCell, kMostCells> cells{};
        const std::span used = std::span{cells}.first(std::min(kMostCells, count - done));
        managed->region().residency(pages.first + done * page_size, used.size() * page_size, used);
        std::transform(used.begin(), used.end(), out + done,
                       [](const ResidencyCell& cell) { return cell.resident > 0 ? 1 : 0; });
    }
}

std::size_t ManagedPager::page_size(Range range) const {
    const std::shared_ptr<ManagedRegion> managed = region_of(range);
    return managed ? managed->region().page_size() : kBasePageBytes;
}

void ManagedPager::set_resident_limit(std::size_t bytes) const {
    const std::shared_ptr<Pager> pager = this->pager();
    const py::gil_scoped_release released;
    pager->set_resident_limit(bytes);
}

void ManagedPager::set_memory_limit(std::size_t bytes) const {
    const std::shared_ptr<Pager> pager = this->pager();
    const py::gil_scoped_release released;
    pager->set_memory_limit(bytes);
}

PagerStats ManagedPager::stats() const {
    const std::shared_ptr<Pager> pager = this->pager();
    const py::gil_scoped_release released;
    return pager->stats();
}

}  // namespace faultline::python
