// The public handle AddressSpace: checks that it is not empty, converts pointers to addresses, and forwards to
// space::Space. No segment logic here.

#include <faultline/address_space.hpp>

#include "core/units.hpp"
#include "space/segment_text.hpp"
#include "space/space.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <filesystem>
#include <memory>
#include <utility>

namespace faultline {
namespace {

space::Space& alive(const std::shared_ptr<space::Space>& space) {
    if (!space) sys::throw_error(EINVAL, "cannot use this AddressSpace: it was moved from");
    return *space;
}

/// In a child of fork that has not inherited the space: leaks it, because it belongs to the parent.
void destroy_own(space::Space* space) {
    if (space->in_owner_process()) delete space;
}

std::shared_ptr<space::Space> shared(std::unique_ptr<space::Space> space) { return {space.release(), &destroy_own}; }

}  // namespace

std::byte* const AddressSpace::kNoBreak = core::pointer_to(~std::uintptr_t{0});

AddressSpace::AddressSpace(Pager& pager, std::span<const ImageSegment> image, const Layout& layout) {
    if (!pager.pager_) sys::throw_error(EINVAL, "cannot make an address space: this Pager was moved from");
    space_ = shared(std::make_unique<space::Space>(pager.pager_, image, layout));
}

AddressSpace::AddressSpace(std::shared_ptr<space::Space> space) noexcept : space_{std::move(space)} {}

AddressSpace::~AddressSpace() { reset(); }
AddressSpace::AddressSpace(AddressSpace&&) noexcept = default;

AddressSpace& AddressSpace::operator=(AddressSpace&& other) noexcept {
    if (this == &other) return *this;
    reset();
    space_ = std::move(other.space_);
    return *this;
}

void AddressSpace::reset() noexcept {
    if (space_) space::Space::leave(std::move(space_));
}

// ---- clones

AddressSpace AddressSpace::clone(const ClonePlace& place) { return AddressSpace{shared(alive(space_).clone(place))}; }

std::byte* AddressSpace::counterpart(const AddressSpace& other, const void* address) const {
    return core::pointer_to(alive(space_).counterpart(alive(other.space_), core::address_of(address)));
}

// ---- the heap

std::byte* AddressSpace::brk(const void* address) {
    return core::pointer_to(alive(space_).brk(core::address_of(address)));
}

std::byte* AddressSpace::sbrk(std::ptrdiff_t delta) {
    const auto before = alive(space_).sbrk(delta);
    return before ? core::pointer_to(*before) : kNoBreak;
}

// ---- the mapping area

std::byte* AddressSpace::map_anonymous(std::size_t bytes, const MapOptions& options) {
    if (options.shared) sys::throw_error(EINVAL, "cannot map anonymous memory: MapOptions::shared is for files only");
    return core::pointer_to(alive(space_).map(bytes, {.kind = SegmentKind::anonymous}, options));
}

std::byte* AddressSpace::map_file(int descriptor, std::uint64_t offset, std::size_t bytes, const MapOptions& options) {
    space::Space& space = alive(space_);
    if (offset % kBasePageBytes != 0)
        sys::throw_error(
            EINVAL, "cannot map a file at offset " + std::to_string(offset) + ": it must be a multiple of 4096 bytes");
    faultline::space::Origin origin{.kind = SegmentKind::file};
    origin.file = faultline::space::SourceFile::of(descriptor);
    origin.file_offset = offset;
    origin.shared = options.shared;
    origin.name = std::filesystem::path{origin.file->path()}.filename().string();
    return core::pointer_to(space.map(bytes, std::move(origin), options));
}

void AddressSpace::unmap(void* address, std::size_t bytes) { alive(space_).unmap(core::address_of(address), bytes); }

void AddressSpace::protect(void* address, std::size_t bytes, Access access) {
    alive(space_).protect(core::address_of(address), bytes, access);
}

void AddressSpace::advise(const void* address, std::size_t bytes, Advice advice) {
    alive(space_).advise(core::address_of(address), bytes, advice);
}

void AddressSpace::advise(std::span<const std::span<const std::byte>> ranges, Advice advice) {
    for (const std::span<const std::byte> range : ranges) this->advise(range, advice);
}

void AddressSpace::discard(void* address, std::size_t bytes) {
    alive(space_).discard(core::address_of(address), bytes);
}

void AddressSpace::sync(void* address, std::size_t bytes) { alive(space_).sync(core::address_of(address), bytes); }

void AddressSpace::retry(void* address, std::size_t bytes) { alive(space_).retry(core::address_of(address), bytes); }

Pin AddressSpace::pin(const void* address, std::size_t bytes, PinFor purpose) {
    const auto [region, pages] = alive(space_).pin(core::address_of(address), bytes, purpose);
    return region == nullptr ? Pin{} : Pin{*region, pages.first, pages.count};
}

// ---- inspection

std::byte* AddressSpace::image() const noexcept { return space_ ? core::pointer_to(space_->image_begin()) : nullptr; }
std::byte* AddressSpace::heap_begin() const noexcept {
    return space_ ? core::pointer_to(space_->heap_begin()) : nullptr;
}
std::byte* AddressSpace::stack_begin() const noexcept {
    return space_ ? core::pointer_to(space_->stack().begin) : nullptr;
}
std::byte* AddressSpace::stack_end() const noexcept { return space_ ? core::pointer_to(space_->stack().end) : nullptr; }

std::vector<SegmentInfo> AddressSpace::segments() const { return alive(space_).segments(); }

SegmentUsage AddressSpace::usage(const SegmentInfo& range) const {
    return alive(space_).usage({range.begin, range.end});
}

void AddressSpace::residency(const void* address, std::size_t bytes, std::span<ResidencyCell> cells) const {
    alive(space_).residency(core::address_of(address), bytes, cells);
}

std::string AddressSpace::maps() const {
    std::string text;
    for (const SegmentInfo& segment : segments()) text += space::maps_line(segment);
    return text;
}

std::string AddressSpace::smaps() const {
    std::string text;
    for (const SegmentInfo& segment : segments()) {
        text += space::maps_line(segment) + space::usage_lines(segment, usage(segment));
    }
    return text;
}

Explanation AddressSpace::explain(const void* address) const {
    return alive(space_).explain(core::address_of(address));
}

TableCost AddressSpace::table_cost() const { return alive(space_).table_cost(); }

void AddressSpace::on_violation(ViolationHandler handler, void* context) {
    alive(space_).on_violation(handler, context);
}

}  // namespace faultline
