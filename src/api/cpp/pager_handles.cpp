// The public handles Pager, Region and Pin. They check arguments, convert addresses to pages, and forward.

#include "core/check.hpp"
#include "core/units.hpp"
#include "pager/owned_region.hpp"
#include "pager/pager.hpp"
#include "pager/region/residency.hpp"
#include "sys/error.hpp"

#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace faultline {
namespace {

using core::PageRange;

[[noreturn]] void refuse_empty(const char* handle) {
    sys::throw_error(EINVAL, std::string("this ") + handle + " is empty: destroyed, moved from, or never made");
}

/// Returns the pages that [address, address + bytes) touches. Throws if any byte is outside the region.
PageRange touched_pages(const pager::Region& region, const void* address, std::size_t bytes) {
    const std::uintptr_t begin = core::address_of(address);
    if (begin < region.begin() || begin > region.end() || bytes > region.end() - begin) {
        sys::throw_error(EINVAL, "a range of " + std::to_string(bytes) + " bytes at offset " +
                                     std::to_string(static_cast<std::intptr_t>(begin - region.begin())) +
                                     " is not inside the region of " + std::to_string(region.mapping().size()) +
                                     " bytes");
    }
    if (bytes == 0) return {};
    const std::uint64_t first = region.page_of(begin);
    return {first, region.page_of(begin + bytes - 1) - first + 1};
}

/// Returns the pages of a range. Throws unless the range consists of whole pages.
PageRange whole_pages(const pager::Region& region, const void* address, std::size_t bytes) {
    const PageRange pages = touched_pages(region, address, bytes);
    const std::uintptr_t misaligned = (core::address_of(address) | bytes) & (region.page_bytes() - 1);
    if (misaligned != 0) {
        sys::throw_error(EINVAL, "the range must begin and end at multiples of the region's page size, " +
                                     std::to_string(region.page_bytes()) + " bytes");
    }
    return pages;
}

}  // namespace

// ---- Pager

Pager::Pager(const Config& config)
    : pager_{new pager::Pager{config}, [](pager::Pager* pager) {
                 // A forked child has neither the threads to join nor the memory to unmap.
                 if (pager->in_owner_process()) delete pager;
             }} {}

Pager::~Pager() = default;
Pager::Pager(Pager&&) noexcept = default;
Pager& Pager::operator=(Pager&&) noexcept = default;

Region Pager::reserve(std::size_t bytes, RegionOptions options) {
    if (!pager_) refuse_empty("pager");
    return Region{std::make_shared<pager::OwnedRegion>(pager_, bytes, options.page_size)};
}

void Pager::set_resident_limit(std::size_t bytes) {
    if (!pager_) refuse_empty("pager");
    pager_->limit().set(bytes);
}

std::size_t Pager::resident_limit() const noexcept { return pager_ ? pager_->resident_limit() : 0; }
void Pager::set_memory_limit(std::size_t bytes) {
    if (!pager_) refuse_empty("pager");
    pager_->limit().set_memory(bytes);
}

std::size_t Pager::memory_limit() const noexcept { return pager_ ? pager_->memory_limit() : 0; }
Delivery Pager::delivery() const noexcept { return pager_ ? pager_->delivery() : Delivery::uffd_signal; }
Eviction Pager::eviction() const noexcept { return pager_ ? pager_->eviction() : Eviction::automatic; }

PagerStats Pager::stats() const {
    if (!pager_) refuse_empty("pager");
    return pager_->stats();
}

// ---- Region

Region::Region() noexcept = default;
Region::Region(std::shared_ptr<pager::OwnedRegion> owned) noexcept
    : owned_{std::move(owned)}, region_{&owned_->region()} {}
Region::Region(Region&& other) noexcept
    : owned_{std::move(other.owned_)}, region_{std::exchange(other.region_, nullptr)} {}

Region& Region::operator=(Region&& other) noexcept {
    if (this == &other) return *this;
    const Region gone{std::move(*this)};
    owned_ = std::move(other.owned_);
    region_ = std::exchange(other.region_, nullptr);
    return *this;
}

Region::~Region() {
    if (region_ != nullptr) region_->users().leave(std::move(owned_));
}

std::byte* Region::data() const noexcept { return region_ != nullptr ? region_->mapping().data() : nullptr; }
std::size_t Region::size() const noexcept { return region_ != nullptr ? region_->mapping().size() : 0; }
std::size_t Region::page_size() const noexcept { return region_ != nullptr ? region_->page_bytes() : 0; }

Pin Region::pin(const void* address, std::size_t bytes, PinFor purpose) {
    if (region_ == nullptr) refuse_empty("region");
    const PageRange pages = touched_pages(*region_, address, bytes);
    if (pages.count == 0) return {};
    owned_->pager().pins().pin(*region_, pages, purpose);
    return Pin{*region_, pages.first, pages.count};
}

void Region::advise(const void* address, std::size_t bytes, Advice advice) {
    if (region_ == nullptr) refuse_empty("region");
    owned_->pager().advice().advise(*region_, touched_pages(*region_, address, bytes), advice);
}

void Region::advise(std::span<const std::span<const std::byte>> ranges, Advice advice) {
    for (const std::span<const std::byte> range : ranges) this->advise(range.data(), range.size(), advice);
}

void Region::wait_for_advised(const void* address, std::size_t bytes) {
    if (region_ == nullptr) refuse_empty("region");
    owned_->pager().read_ahead().wait_for_prefetch(*region_, touched_pages(*region_, address, bytes));
}

void Region::discard(void* address, std::size_t bytes) {
    if (region_ == nullptr) refuse_empty("region");
    owned_->pager().discarder().discard(*region_, whole_pages(*region_, address, bytes));
}

void Region::protect(void* address, std::size_t bytes, Access access) {
    if (region_ == nullptr) refuse_empty("region");
    const PageRange pages = whole_pages(*region_, address, bytes);
    if (pages.count > 0) owned_->pager().protector().protect(*region_, pages, access);
}

void Region::retry(void* address, std::size_t bytes) {
    if (region_ == nullptr) refuse_empty("region");
    owned_->pager().advice().retry(*region_, whole_pages(*region_, address, bytes));
}

RegionStats Region::stats() const {
    if (region_ == nullptr) refuse_empty("region");
    return pager::region_stats(region_->counters(), region_->page_bytes());
}

void Region::residency(std::span<ResidencyCell> cells) const {
    if (region_ == nullptr) refuse_empty("region");
    pager::look_at_residency(*region_, {0, region_->pages()}, cells);
}

void Region::residency(const void* address, std::size_t bytes, std::span<ResidencyCell> cells) const {
    if (region_ == nullptr) refuse_empty("region");
    pager::look_at_residency(*region_, touched_pages(*region_, address, bytes), cells);
}

void Region::destroy() {
    if (region_ == nullptr) refuse_empty("region");
    owned_->destroy();
    region_ = nullptr;
    owned_.reset();
}

// ---- Pin

Pin::Pin(pager::Region& region, std::uint64_t first, std::uint64_t count) noexcept
    : region_{&region}, first_{first}, count_{count} {
    FAULTLINE_REQUIRE(region.users().add(), "a destroyed region was pinned");
}

void Pin::release() noexcept {
    if (region_ == nullptr) return;
    pager::Region& region = *std::exchange(region_, nullptr);
    region.pager().unpin(region, {first_, count_});
    const std::shared_ptr<void> last = region.users().remove();
}

}  // namespace faultline
