// The control calls of a Space. More than 400 lines in one file: they share the mutex and the order in which segments,
// index and arenas change, and a reader has to see that order in one place.
#include "space/space.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "pager/fault/fault_entry.hpp"
#include "pager/region/region_map.hpp"
#include "space/placement.hpp"
#include "space/shared_file.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::space {

using space::AddressRange;
using space::Arena;
using space::Origin;
using space::Segment;
using space::SegmentIndex;

namespace {

constexpr std::size_t kPage = core::kUnitBytes;
constexpr std::uintptr_t kLowestImage = std::uintptr_t{32} << 40;
constexpr std::uintptr_t kLowestStackEnd = std::uintptr_t{64} << 40;
constexpr std::size_t kMostArenaBytes = std::size_t{8} << 40;  // a region has at most 2^32 pages; this leaves room
constexpr int kAddressesTried = 16;

std::size_t whole_pages(std::size_t bytes) noexcept { return core::align_up(bytes, kPage); }

/// Returns the pages that [address, address + bytes) touches.
AddressRange around(std::uintptr_t address, std::size_t bytes) noexcept {
    return {core::align_down(address, kPage), core::align_up(address + bytes, kPage)};
}

/// Returns the whole pages of the range. Throws EINVAL for an empty range, or one that does not begin at a page.
AddressRange checked_range(std::uintptr_t address, std::size_t bytes, const char* purpose) {
    space::require_user_range(address, bytes);
    if (address % kPage != 0 || bytes == 0) {
        sys::throw_error(EINVAL, std::string("cannot ") + purpose +
                                     ": the range must not be empty, and must begin at a multiple of 4 KiB");
    }
    return {address, address + whole_pages(bytes)};
}

/// Returns the size of the image in bytes. Throws EINVAL for an impossible segment.
std::size_t image_bytes(std::span<const ImageSegment> image) {
    std::uint64_t end = 0;
    for (const ImageSegment& part : image) {
        const auto refuse = [&](const char* why) {
            sys::throw_error(EINVAL, "cannot load the image segment \"" + part.name + "\": " + why);
        };
        if (part.memory_bytes == 0) refuse("memory_bytes is 0: it has no bytes");
        if (part.file_bytes > part.memory_bytes)
            refuse("file_bytes is larger than memory_bytes: the file has more of it than memory");
        if (part.file.empty() && part.file_bytes > 0) refuse("file_bytes is not 0, but no file is given");
        if (part.file_bytes > 0 && part.address % kPage != part.file_offset % kPage) {
            refuse("its address and its offset in the file differ modulo 4 KiB");
        }
        if (part.memory_bytes > part.file_bytes && part.access != Access::read_write && part.file_bytes > 0) {
            refuse("only a writable segment (Access::read_write) can have zeros after the file's bytes");
        }
        if (part.address > kMostArenaBytes || part.memory_bytes > kMostArenaBytes ||
            part.file_offset > (std::uint64_t{1} << 62)) {
            refuse("its address or size is above 8 TiB, or its file offset above 2^62");
        }
        end = std::max(end, part.address + part.memory_bytes);
    }
    return whole_pages(end);
}

void require_possible(const Layout& layout) {
    const auto refuse = [](const char* why) { sys::throw_error(EINVAL, std::string("invalid Layout: ") + why); };
    if (layout.image_address % kPage != 0 || layout.mapping_address % kPage != 0) {
        refuse("image_address and mapping_address must be multiples of 4 KiB");
    }
    if (layout.heap_limit > kMostArenaBytes || layout.mapping_bytes > kMostArenaBytes ||
        layout.stack_limit > kMostArenaBytes || layout.stack_guard > kMostArenaBytes) {
        refuse("heap_limit, mapping_bytes, stack_limit and stack_guard must be at most 8 TiB each");
    }
    if (layout.mapping_bytes == 0 || layout.stack_limit == 0 || layout.stack_guard == 0) {
        refuse("mapping_bytes, stack_limit and stack_guard must be at least a page");
    }
    if (!layout.random_gaps && (layout.image_address == 0 || layout.mapping_address == 0)) {
        refuse("without random_gaps, both addresses must be given (image_address, mapping_address)");
    }
}

std::atomic<std::uint64_t> lineages{0};

}  // namespace

// ---- construction

Space::Space(std::shared_ptr<pager::Pager> pager, std::span<const ImageSegment> image, const Layout& layout)
    : pager_{std::move(pager)},
      lineage_{++lineages},
      index_{pager::RegionMap::readers(), std::make_unique<const SegmentIndex>()},
      handler_{pager::RegionMap::readers(), std::make_unique<const Handler>()},
      violations_{SIGSEGV, &pager::resolve_fault, &pager::report_violation} {
    require_possible(layout);
    const std::size_t image_size = image_bytes(image);
    reserve_for_layout(image_size, layout);
    for (const ImageSegment& part : image) load(part);
    const std::uint64_t gap = layout.random_gaps ? space::random_bits(Layout::kHeapEntropyBits) * kPage : 0;
    heap_begin_ = break_ = low_->range().begin + image_size + gap;
    heap_limit_ = whole_pages(layout.heap_limit);
    add_stack(layout);
}

/// Writes shared segments to their files as far as possible.
Space::~Space() {
    try {
        std::vector<AddressRange> shared;
        segments_.for_each([&](const Segment& segment) {
            if (segment.origin.shared) shared.push_back(segment.range);
        });
        for (const AddressRange part : shared) remove(part);
    } catch (const std::exception&) {
        // As with the kernel, a write error is lost here; a program that needs it calls sync first.
    }
}

void Space::leave(std::shared_ptr<Space> space) noexcept {
    try {
        space->on_violation(nullptr, nullptr);
    } catch (const std::exception&) {
        // Another process's space, or no memory for the change: the handler stays.
    }
    for (Arena* const arena : space->arenas()) arena->region().users().leave(space);
}

/// The low arena also has room for the heap's random gap and for the free page above the heap; the high arena for the
/// mappings' random gap.
void Space::reserve_for_layout(std::size_t image_size, const Layout& layout) {
    const std::size_t heap_gap = layout.random_gaps ? kPage << Layout::kHeapEntropyBits : 0;
    const std::size_t mapping_gap = layout.random_gaps ? kPage << Layout::kMappingEntropyBits : 0;
    const std::size_t low = image_size + heap_gap + whole_pages(layout.heap_limit) + kPage;
    const std::size_t high = whole_pages(layout.mapping_bytes) + mapping_gap + whole_pages(layout.stack_guard) +
                             whole_pages(layout.stack_limit);
    reserve_arenas(low, high, {layout.image_address, layout.mapping_address});
}

void Space::reserve_arenas(std::size_t low, std::size_t high, const ClonePlace& place) {
    const auto reserve = [&](std::uintptr_t address, std::size_t bytes) {
        return std::make_unique<Arena>(*pager_, *this, index_, address, bytes);
    };
    const auto reserve_somewhere = [&](std::uintptr_t lowest, unsigned bits, std::size_t bytes) {
        for (int i = 0; i < kAddressesTried; ++i) {
            try {
                return reserve(space::random_address(lowest, bits), bytes);
            } catch (const std::system_error& error) {
                if (error.code().value() != EEXIST) throw;
            }
        }
        return reserve(0, bytes);  // the process may not have such addresses: let the kernel choose
    };
    for (const auto& [address, bytes] : {std::pair{place.image_address, low}, {place.mapping_address, high}}) {
        if (address != 0) space::require_user_range(address, bytes);
    }
    // The high arena first: the kernel hands out addresses from the top down.
    high_ = place.mapping_address != 0 ? reserve(place.mapping_address, high)
                                       : reserve_somewhere(kLowestStackEnd - high, Layout::kStackEntropyBits, high);
    low_ = place.image_address != 0 ? reserve(place.image_address, low)
                                    : reserve_somewhere(kLowestImage, Layout::kImageEntropyBits, low);
}

/// Adds the segments of one part of the image: the file's pages, then the pages of zeros.
void Space::load(const ImageSegment& part) {
    const std::uintptr_t begin = image_begin() + part.address;
    const AddressRange all = around(begin, part.memory_bytes);
    const AddressRange from_file =
        part.file_bytes > 0 ? around(begin, part.file_bytes) : AddressRange{all.begin, all.begin};
    if (!segments_.is_free(all)) {
        sys::throw_error(EEXIST, "cannot load the image segment \"" + part.name + "\": its range overlaps another one");
    }
    if (from_file.bytes() > 0) {
        Origin origin{.kind = SegmentKind::image, .access = part.access, .name = part.name};
        origin.file = space::SourceFile::open(part.file);
        origin.file_offset = core::align_down<std::uint64_t>(part.file_offset, kPage);
        if (part.memory_bytes > part.file_bytes) origin.file_limit = part.file_offset + part.file_bytes;
        add(from_file, origin);
    }
    if (from_file.end < all.end) {
        add({from_file.end, all.end}, {.kind = SegmentKind::bss, .access = part.access, .name = "bss"});
    }
}

void Space::add_stack(const Layout& layout) {
    const AddressRange all = high_->range();
    stack_ = {all.end - whole_pages(layout.stack_limit), all.end};
    const AddressRange guard{stack_.begin - whole_pages(layout.stack_guard), stack_.begin};
    add(stack_, {.kind = SegmentKind::stack, .name = "stack"});
    segments_.insert(guard, {.kind = SegmentKind::stack, .guard = true, .access = Access::none, .name = "stack"});
    index_.replace(make_index());
    const std::uint64_t gap = layout.random_gaps ? space::random_bits(Layout::kMappingEntropyBits) * kPage : 0;
    mappings_ = {all.begin, guard.begin - gap};
}

// ---- adding and removing segments

void Space::require_owner_process() const {
    if (pager_->in_owner_process()) return;
    sys::throw_error(EPERM, "this address space belongs to the parent process: a child of fork cannot use it");
}

Arena* Space::arena_of(AddressRange range) const noexcept {
    for (const auto& arena : {low_.get(), high_.get()}) {
        if (arena != nullptr && arena->range().contains(range)) return arena;
    }
    return nullptr;
}

Arena& Space::checked_arena(AddressRange range, const char* purpose) const {
    if (Arena* const arena = arena_of(range)) return *arena;
    sys::throw_error(EINVAL, std::string("cannot ") + purpose + ": the range is not in the address space");
}

std::unique_ptr<const SegmentIndex> Space::make_index() const {
    return std::make_unique<const SegmentIndex>(segments_);
}

/// Adds a segment and opens it. The range is free, and inside one arena.
void Space::add(AddressRange range, const Origin& origin) {
    segments_.insert(range, origin);
    try {
        index_.replace(make_index());  // first: the store must know which file the pages come from
        open(range, origin, origin.file != nullptr);
    } catch (...) {
        segments_.erase(range);
        index_.replace(make_index());
        if (!origin.pages) arena_of(range)->close(range);
        throw;
    }
    segments_.merge(range);
}

/// Makes a range accessible. `in_file`: pages of the segment's own come from its file.
void Space::open(AddressRange range, const Origin& origin, bool in_file) {
    Arena& arena = *arena_of(range);
    if (!origin.pages) return arena.open(range, origin.access, in_file);
    origin.pages->map(arena.region(), arena.pages_of(range), origin.file_offset, origin.access);
}

void Space::close(const Segment& segment) {
    Arena& arena = *arena_of(segment.range);
    const Origin& origin = segment.origin;
    if (!origin.pages) return arena.close(segment.range);
    origin.pages->unmap(arena.region(), arena.pages_of(segment.range), origin.access);
}

/// Returns the regions and pages that a range maps. The range is inside one arena.
std::vector<pager::PageRun> Space::runs_of(AddressRange range) const {
    const Arena& arena = *arena_of(range);
    return pager_->views().runs_of(arena.region(), arena.pages_of(range));
}

/// Removes all segments in the range. None of them may be a guard.
void Space::split_and_remove(AddressRange range) {
    segments_.split_at(range);
    try {
        remove(range);
    } catch (...) {
        segments_.merge(range);  // merges what was not removed
        throw;
    }
}

/// Removes all segments in the range, whose ends are segment boundaries. None of them may be a guard.
void Space::remove(AddressRange range) {
    while (const Segment* const segment = segments_.find_from(range.begin)) {
        if (segment->range.begin >= range.end) return;
        const AddressRange part = segment->range;
        if (segment->origin.shared && !segment->origin.pages) {
            remove_shared(*segment);
        } else {
            close(*segment);
            segments_.erase(part);
            index_.replace(make_index());  // last: until now the pages came from the segment's file
        }
        range.begin = part.end;
    }
}

/// Removes a shared segment with pages of its own. Writes what is dirty to the file first, while no thread can write.
/// Then takes the segment out of the index: closing pages that the store still sees as the file's would write zeros to
/// it.
void Space::remove_shared(const Segment& segment) {
    const AddressRange part = segment.range;
    Arena& arena = *arena_of(part);
    arena.protect(part, Access::none);
    static_cast<void>(pager_->views().write_out(arena.region(), arena.pages_of(part)));
    if (usage_locked(part).dirty > 0) {
        arena.protect(part, segment.origin.access);
        sys::throw_error(EIO, "cannot unmap the shared mapping of " + segment.origin.file->path() +
                                  ": not all dirty pages could be written to the file");
    }
    segments_.erase(part);
    index_.replace(make_index());
    arena.close(part);
}

// ---- the mapping area

AddressRange Space::choose_range(std::size_t bytes, const MapOptions& options) {
    const std::size_t size = whole_pages(bytes);
    if (bytes == 0 || size < bytes)
        sys::throw_error(EINVAL,
                         "cannot map " + std::to_string(bytes) + " bytes: 0 bytes, or more than there are addresses");
    if (options.address == nullptr) {
        if (const auto end = segments_.highest_gap(size, mappings_)) return {*end - size, *end};
        sys::throw_error(ENOMEM, "cannot map " + sys::readable_bytes(size) +
                                     ": the mapping area has no such gap; raise Layout::mapping_bytes");
    }
    const AddressRange range = checked_range(core::address_of(options.address), size, "map at this address");
    static_cast<void>(checked_arena(range, "map at this address"));
    if (segments_.is_free(range)) return range;
    if (!options.replace)
        sys::throw_error(EEXIST,
                         "cannot map at this address: something is mapped there; unmap it, or set MapOptions::replace");
    return range;
}

std::uintptr_t Space::map(std::size_t bytes, Origin origin, const MapOptions& options) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    origin.access = options.access;
    if (!options.name.empty()) origin.name = options.name;
    const AddressRange range = choose_range(bytes, options);
    if (origin.shared && options.access == Access::read_write) require_writable(*origin.file);
    if (origin.file && origin.file_offset > Origin::kNoLimit / 2 - range.bytes()) {
        sys::throw_error(EINVAL, "cannot map a file at offset " + std::to_string(origin.file_offset) +
                                     ": offset and size together must be below 2^63");
    }
    if (origin.shared) origin.pages = space::SharedFile::of(*pager_, origin.file);
    if (!segments_.is_free(range)) unmap_locked(range);
    add(range, origin);
    return range.begin;
}

void Space::require_writable(const space::SourceFile& file) {
    if (file.writable()) return;
    sys::throw_error(EACCES, "cannot write to the shared mapping of " + file.path() +
                                 ": the file must be open for reading and writing, and not for appending (O_APPEND)");
}

void Space::unmap(std::uintptr_t address, std::size_t bytes) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    const AddressRange range = checked_range(address, bytes, "unmap");
    static_cast<void>(checked_arena(range, "unmap"));
    unmap_locked(range);
}

void Space::unmap_locked(AddressRange range) {
    segments_.for_each_in(range, [](const Segment& segment) {
        const SegmentKind kind = segment.origin.kind;
        if (kind == SegmentKind::heap || kind == SegmentKind::stack) {
            sys::throw_error(EINVAL, std::string("cannot unmap the ") + to_string(kind) +
                                         (kind == SegmentKind::heap ? ": lower the break instead" : ""));
        }
    });
    split_and_remove(range);
}

// ---- protection and advice

void Space::protect(std::uintptr_t address, std::size_t bytes, Access access) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    const AddressRange range = checked_range(address, bytes, "protect");
    Arena& arena = checked_arena(range, "protect");
    require_mapped(range, "protect");
    segments_.for_each_in(range, [&](const Segment& segment) {
        if (segment.origin.shared && access == Access::read_write) require_writable(*segment.origin.file);
    });
    segments_.split_at(range);
    arena.protect(range, access);
    segments_.set_access(range, access);
    segments_.merge(range);
    index_.replace(make_index());
}

/// Throws ENOMEM, as the kernel does, unless segments other than guards cover the range.
void Space::require_mapped(AddressRange range, const char* purpose) const {
    bool guard = false;
    segments_.for_each_in(range, [&](const Segment& segment) { guard |= segment.origin.guard; });
    if (guard || !segments_.covers(range)) {
        sys::throw_error(ENOMEM, std::string("cannot ") + purpose +
                                     ": nothing is mapped in a part of the range (segments() lists what is)");
    }
}

void Space::advise(std::uintptr_t address, std::size_t bytes, Advice advice) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    space::require_user_range(address, bytes);
    if (bytes == 0) return;
    const AddressRange range = around(address, bytes);
    static_cast<void>(checked_arena(range, "advise"));
    require_mapped(range, "advise");
    for (const pager::PageRun& run : runs_of(range)) pager_->advice().advise(*run.region, run.pages, advice);
}

void Space::discard(std::uintptr_t address, std::size_t bytes) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    const AddressRange range = checked_range(address, bytes, "discard");
    Arena& arena = checked_arena(range, "discard");
    require_mapped(range, "discard");
    segments_.for_each_in(range, [&](const Segment& segment) {
        const AddressRange part{std::max(range.begin, segment.range.begin), std::min(range.end, segment.range.end)};
        const core::PageRange pages = arena.pages_of(part);
        if (segment.origin.shared) {  // discarding would write zeros to the file
            for (const pager::PageRun& run : runs_of(part)) pager_->advice().evict(*run.region, run.pages);
            return;
        }
        if (segment.origin.file) {
            pager_->discarder().discard_to_store(arena.region(), pages);
        } else {
            pager_->discarder().discard(arena.region(), pages);
        }
    });
}

void Space::sync(std::uintptr_t address, std::size_t bytes) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    const AddressRange range = checked_range(address, bytes, "synchronise");
    static_cast<void>(checked_arena(range, "synchronise"));
    require_mapped(range, "synchronise");
    std::vector<std::shared_ptr<const space::SourceFile>> files;
    segments_.for_each_in(range, [&](const Segment& segment) {
        if (!segment.origin.shared) return;
        const AddressRange part{std::max(range.begin, segment.range.begin), std::min(range.end, segment.range.end)};
        for (const pager::PageRun& run : runs_of(part)) {
            const int error = pager_->views().write_out(*run.region, run.pages);
            if (error == 0) continue;
            sys::throw_error(error, "cannot synchronise the shared mapping of " + segment.origin.file->path() +
                                        (error == EBUSY ? ": pages are pinned, or held by the kernel" : ""));
        }
        if (files.empty() || files.back() != segment.origin.file) files.push_back(segment.origin.file);
    });
    for (const auto& file : files) {
        if (const int error = file->synchronize()) sys::throw_error(error, "cannot synchronise " + file->path());
    }
}

void Space::retry(std::uintptr_t address, std::size_t bytes) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    const AddressRange range = checked_range(address, bytes, "retry");
    static_cast<void>(checked_arena(range, "retry"));
    for (const pager::PageRun& run : runs_of(range)) pager_->advice().retry(*run.region, run.pages);
}

std::pair<pager::Region*, core::PageRange> Space::pin(std::uintptr_t address, std::size_t bytes, PinFor purpose) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    space::require_user_range(address, bytes);
    if (bytes == 0) return {};
    const AddressRange range = around(address, bytes);
    const Arena& arena = checked_arena(range, "pin");
    require_mapped(range, "pin");
    const core::PageRange pages = arena.pages_of(range);
    pager_->pins().pin(arena.region(), pages, purpose);
    return {&arena.region(), pages};
}

// ---- violations

void Space::on_violation(ViolationHandler handler, void* context) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    handler_.replace(std::make_unique<const Handler>(Handler{handler, context}));
}

core::ViolationReport Space::report(const core::PageFault& fault) const FAULTLINE_SIGNAL_SAFE {
    core::ViolationReport report;
    AccessViolation& violation = report.violation;
    violation.address = reinterpret_cast<const void*>(fault.address);  // NOLINT: the address that the kernel reported
    violation.attempt = fault.access == core::FaultAccess::execute ? Attempt::execute
                        : fault.access == core::FaultAccess::write ? Attempt::write
                                                                   : Attempt::read;
    if (const SegmentIndex::Entry* const segment = index_.read().find(fault.address)) {
        violation.kind = segment->guard ? ViolationKind::stack_overflow : ViolationKind::forbidden;
        violation.allowed = segment->access;
        std::copy(segment->name.begin(), segment->name.end(), std::begin(violation.segment));
    }
    const Handler& handler = handler_.read();
    report.handler = handler.call;
    report.context = handler.context;
    return report;
}

}  // namespace faultline::space
