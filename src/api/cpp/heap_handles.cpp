// The public handles: Heap, its memory resource, and the functions that allocator<T> calls. They check the program's
// arguments and forward to heap::Heap. They do not count, lock or log.

#include "heap/heap.hpp"
#include "pager/region/residency.hpp"
#include "sys/error.hpp"

#include <faultline/allocator.hpp>
#include <faultline/heap.hpp>

#include <bit>
#include <cerrno>
#include <new>
#include <string>
#include <utility>

namespace faultline {
namespace {

constexpr std::size_t kMostAlignment = kLargestPageBytes;

/// Allocates; null for a bad alignment. An alignment up to 16 costs nothing: every block is a multiple of 16 bytes.
void* allocate_from(heap::Heap& heap, std::size_t bytes, std::size_t alignment) noexcept {
    if (!std::has_single_bit(alignment) || alignment > kMostAlignment) return nullptr;
    return heap.try_allocate(bytes, alignment);
}

/// Returns the pages that [address, address + bytes) touches. Throws EINVAL unless all of it is in the heap.
core::PageRange touched_pages(const heap::Heap& heap, const void* address, std::size_t bytes) {
    const pager::Region& region = heap.region();
    const std::uintptr_t begin = core::address_of(address);
    if (!heap.owns(address) || bytes > region.end() - begin) {
        sys::throw_error(EINVAL, "a range of " + std::to_string(bytes) + " bytes is not inside the heap");
    }
    const std::uint64_t first = region.page_of(begin);
    return {first, bytes == 0 ? 0 : region.page_of(begin + bytes - 1) - first + 1};
}

void* required(void* block) {
    if (block == nullptr) throw std::bad_alloc{};
    return block;
}

}  // namespace

Heap::Heap(Pager& pager, const HeapOptions& options) {
    if (!pager.pager_) sys::throw_error(EINVAL, "cannot make a heap: this Pager was moved from");
    heap_ = new heap::Heap{pager.pager_, options};
}

Heap::~Heap() { delete heap_; }

Heap::Heap(Heap&& other) noexcept : heap_{std::exchange(other.heap_, nullptr)} {}

Heap& Heap::operator=(Heap&& other) noexcept {
    if (this != &other) delete std::exchange(heap_, std::exchange(other.heap_, nullptr));
    return *this;
}

void* Heap::allocate(std::size_t bytes) { return required(heap_->try_allocate(bytes)); }
void* Heap::allocate(std::size_t bytes, std::size_t alignment) {
    return required(allocate_from(*heap_, bytes, alignment));
}
void* Heap::try_allocate(std::size_t bytes) noexcept { return heap_->try_allocate(bytes); }
void* Heap::try_allocate(std::size_t bytes, std::size_t alignment) noexcept {
    return allocate_from(*heap_, bytes, alignment);
}
void* Heap::try_allocate_zeroed(std::size_t count, std::size_t bytes) noexcept {
    std::size_t product = 0;
    if (__builtin_mul_overflow(count, bytes, &product)) return nullptr;
    return heap_->try_allocate_zeroed(product);
}
void* Heap::try_reallocate(void* block, std::size_t bytes) noexcept { return heap_->try_reallocate(block, bytes); }
void Heap::deallocate(void* block) noexcept { heap_->deallocate(block); }
void Heap::deallocate(void* block, std::size_t bytes) noexcept { heap_->deallocate(block, bytes); }
std::size_t Heap::usable_size(const void* block) const noexcept { return heap_->usable_size(block); }
bool Heap::owns(const void* address) const noexcept { return heap_ != nullptr && heap_->owns(address); }
std::size_t Heap::trim() noexcept { return heap_->trim(); }

Pin Heap::pin(const void* address, std::size_t bytes, PinFor purpose) {
    const core::PageRange pages = touched_pages(*heap_, address, bytes);
    if (pages.count == 0) return {};
    heap_->pager().pins().pin(heap_->region(), pages, purpose);
    return Pin{heap_->region(), pages.first, pages.count};
}

void Heap::advise(const void* address, std::size_t bytes, Advice advice) {
    heap_->pager().advice().advise(heap_->region(), touched_pages(*heap_, address, bytes), advice);
}

void Heap::advise(std::span<const std::span<const std::byte>> ranges, Advice advice) {
    for (const std::span<const std::byte> range : ranges) this->advise(range, advice);
}

HeapStats Heap::stats() const { return heap_->stats(); }
void Heap::residency(std::span<ResidencyCell> cells) const { heap_->residency(cells); }
void Heap::residency(const void* address, std::size_t bytes, std::span<ResidencyCell> cells) const {
    pager::look_at_residency(heap_->region(), touched_pages(*heap_, address, bytes), cells);
}

std::pmr::memory_resource* Heap::resource() const noexcept { return &heap_->resource(); }

void Heap::destroy() {
    if (heap_ == nullptr) sys::throw_error(EINVAL, "cannot destroy this Heap: it was destroyed or moved from");
    heap_->drop_pages();
    delete std::exchange(heap_, nullptr);
}

void* Heap::allocate_in(heap::Heap& heap, std::size_t bytes, std::size_t alignment) {
    return required(allocate_from(heap, bytes, alignment));
}
void Heap::deallocate_in(heap::Heap& heap, void* block, std::size_t bytes) noexcept { heap.deallocate(block, bytes); }

namespace heap {

void* Resource::do_allocate(std::size_t bytes, std::size_t alignment) {
    return required(allocate_from(heap_, bytes, alignment));
}
void Resource::do_deallocate(void* block, std::size_t bytes, std::size_t) { heap_.deallocate(block, bytes); }

}  // namespace heap
}  // namespace faultline
