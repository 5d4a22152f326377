#include "space/space.hpp"

#include "core/units.hpp"
#include "pager/region/region_map.hpp"
#include "space/cloning.hpp"
#include "space/description.hpp"
#include "space/page_ranges.hpp"
#include "space/page_usage.hpp"
#include "space/placement.hpp"
#include "sys/error.hpp"

#include <atomic>
#include <cerrno>
#include <exception>
#include <utility>

namespace faultline::space {

namespace {

std::atomic<std::uint64_t> lineages{0};

std::unique_ptr<const SegmentIndex> empty_index() { return std::make_unique<const SegmentIndex>(); }

std::uintptr_t random_gap(const Layout& layout, unsigned bits) {
    return layout.random_gaps ? random_bits(bits) << core::kUnitShift : 0;
}

}  // namespace

// ---- construction

Space::Space(std::shared_ptr<pager::Pager> pager, std::span<const ImageSegment> image, const Layout& layout)
    : pager_{std::move(pager)},
      lineage_{++lineages},
      index_{pager::RegionMap::readers(), empty_index()},
      violations_{index_, {}},
      segments_{*pager_, index_, violations_, plan_arenas(image, layout)},
      break_{segments_},
      mappings_{*pager_, segments_},
      ranges_{*pager_, segments_} {
    for (const ImageSegment& part : image) load(part);
    const std::uintptr_t heap = image_begin() + image_bytes(image) + random_gap(layout, Layout::kHeapEntropyBits);
    break_.start(heap, heap, whole_pages(layout.heap_limit));
    add_stack(layout);
}

Space::Space(const Space& source, const ClonePlace& place)
    : pager_{source.pager_},
      lineage_{source.lineage_},
      index_{pager::RegionMap::readers(), empty_index()},
      violations_{index_, source.violations_.handler()},
      segments_{*pager_, index_, violations_, source.segments_.arenas().plan_at(place)},
      break_{segments_},
      mappings_{*pager_, segments_},
      ranges_{*pager_, segments_} {
    const Arenas& arenas = segments_.arenas();
    break_.start_as_clone_of(source.break_);
    mappings_.start(arenas.counterpart(source.segments_.arenas(), source.mappings_.range()));
    stack_ = arenas.counterpart(source.segments_.arenas(), source.stack_);
    clone_segments(*pager_, source.segments_, segments_);
}

Space::~Space() {
    try {
        segments_.remove_all_shared();
    } catch (const std::exception&) {
        // As with the kernel, a write error is lost here; a program that needs it calls sync first.
    }
}

void Space::leave(std::shared_ptr<Space> space) noexcept {  // NOLINT(performance-unnecessary-value-param): given up
    try {
        space->on_violation(nullptr, nullptr);
    } catch (const std::exception&) {
        // Another process's space, or no memory for the change: the handler stays.
    }
    for (Arena* const arena : space->segments_.arenas().both()) arena->region().users().leave(space);
}

/// Adds the segments of one part of the image: the file's pages, then the pages of zeros.
void Space::load(const ImageSegment& part) {
    const std::uintptr_t begin = image_begin() + part.address;
    const AddressRange all = pages_touched(begin, part.memory_bytes);
    const AddressRange from_file =
        part.file_bytes > 0 ? pages_touched(begin, part.file_bytes) : AddressRange{all.begin, all.begin};
    if (!segments_.set().is_free(all)) {
        sys::throw_error(EEXIST, "cannot load the image segment \"" + part.name + "\": its range overlaps another one");
    }
    if (from_file.bytes() > 0) {
        Origin origin{.kind = SegmentKind::image, .access = part.access, .name = part.name};
        origin.file = SourceFile::open(part.file);
        origin.file_offset = core::align_down<std::uint64_t>(part.file_offset, core::kUnitBytes);
        if (part.memory_bytes > part.file_bytes) origin.file_limit = part.file_offset + part.file_bytes;
        segments_.add(from_file, origin);
    }
    if (from_file.end < all.end) {
        segments_.add({from_file.end, all.end}, {.kind = SegmentKind::bss, .access = part.access, .name = "bss"});
    }
}

/// Adds the stack and its guard at the top of the high arena; mappings get the addresses below.
void Space::add_stack(const Layout& layout) {
    const AddressRange all = segments_.arenas().high().range();
    stack_ = {all.end - whole_pages(layout.stack_limit), all.end};
    const AddressRange guard{stack_.begin - whole_pages(layout.stack_guard), stack_.begin};
    segments_.add(stack_, {.kind = SegmentKind::stack, .name = "stack"});
    segments_.add_guard(guard, {.kind = SegmentKind::stack, .guard = true, .access = Access::none, .name = "stack"});
    mappings_.start({all.begin, guard.begin - random_gap(layout, Layout::kMappingEntropyBits)});
}

// ---- clones

std::unique_ptr<Space> Space::clone(const ClonePlace& place) {
    const auto lock = lock_for_change();
    if (place.image_address % core::kUnitBytes != 0 || place.mapping_address % core::kUnitBytes != 0) {
        sys::throw_error(EINVAL, "cannot clone: ClonePlace's addresses must be multiples of 4 KiB");
    }
    return std::unique_ptr<Space>{new Space{*this, place}};
}

std::uintptr_t Space::counterpart(const Space& other, std::uintptr_t address) const {
    if (other.lineage_ != lineage_) {
        sys::throw_error(EINVAL, "cannot find the counterpart: the two address spaces are no clones of each other");
    }
    if (const auto mine = segments_.arenas().counterpart(other.segments_.arenas(), address)) return *mine;
    sys::throw_error(EINVAL, "cannot find the counterpart: the address is not in the address space given");
}

// ---- control calls

/// Locks mutex_. Throws EPERM in a child of fork that has not inherited the space.
std::unique_lock<std::mutex> Space::lock_for_change() const {
    if (!in_owner_process()) {
        sys::throw_error(EPERM, "this address space belongs to the parent process: a child of fork cannot use it");
    }
    return std::unique_lock{mutex_};
}

std::uintptr_t Space::brk(std::uintptr_t address) {
    const auto lock = lock_for_change();
    return break_.brk(address);
}

std::optional<std::uintptr_t> Space::sbrk(std::ptrdiff_t delta) {
    const auto lock = lock_for_change();
    return break_.sbrk(delta);
}

std::uintptr_t Space::map(std::size_t bytes, Origin origin, const MapOptions& options) {
    const auto lock = lock_for_change();
    return mappings_.map(bytes, std::move(origin), options);
}

void Space::unmap(std::uintptr_t address, std::size_t bytes) {
    const auto lock = lock_for_change();
    mappings_.unmap(address, bytes);
}

void Space::protect(std::uintptr_t address, std::size_t bytes, Access access) {
    const auto lock = lock_for_change();
    ranges_.protect(address, bytes, access);
}

void Space::advise(std::uintptr_t address, std::size_t bytes, Advice advice) {
    const auto lock = lock_for_change();
    ranges_.advise(address, bytes, advice);
}

void Space::discard(std::uintptr_t address, std::size_t bytes) {
    const auto lock = lock_for_change();
    ranges_.discard(address, bytes);
}

void Space::sync(std::uintptr_t address, std::size_t bytes) {
    const auto lock = lock_for_change();
    ranges_.sync(address, bytes);
}

void Space::retry(std::uintptr_t address, std::size_t bytes) {
    const auto lock = lock_for_change();
    ranges_.retry(address, bytes);
}

std::pair<pager::Region*, core::PageRange> Space::pin(std::uintptr_t address, std::size_t bytes, PinFor purpose) {
    const auto lock = lock_for_change();
    return ranges_.pin(address, bytes, purpose);
}

void Space::on_violation(ViolationHandler handler, void* context) {
    const auto lock = lock_for_change();
    violations_.set_handler({handler, context});
}

// ---- descriptions

std::vector<SegmentInfo> Space::segments() const {
    const std::lock_guard lock{mutex_};
    return describe_all(segments_);
}

SegmentUsage Space::usage(AddressRange range) const {
    const std::lock_guard lock{mutex_};
    return usage_of(segments_.arenas(), range);
}

void Space::residency(std::uintptr_t address, std::size_t bytes, std::span<ResidencyCell> cells) const {
    require_user_range(address, bytes);
    const std::lock_guard lock{mutex_};
    fill_residency(segments_.arenas(), pages_touched(address, bytes), cells);
}

Explanation Space::explain(std::uintptr_t address) const {
    const std::lock_guard lock{mutex_};
    return space::explain(segments_, address);
}

TableCost Space::table_cost() const {
    const std::lock_guard lock{mutex_};
    return space::table_cost(segments_);
}

}  // namespace faultline::space
