#include "preload/unmanaged.hpp"

#include "preload/libc_malloc.hpp"
#include "preload/next.hpp"
#include "preload/thread_state.hpp"
#include "sys/own_heap.hpp"

#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace faultline::preload::unmanaged {
namespace {

/// The functions of one allocator.
struct Allocator {
    void* (*allocate)(std::size_t);
    void* (*allocate_zeroed)(std::size_t, std::size_t);
    void* (*reallocate)(void*, std::size_t);
    void (*release)(void*);
    void* (*allocate_aligned)(std::size_t, std::size_t);
};

constexpr Allocator kLibc{&__libc_malloc, &__libc_calloc, &__libc_realloc, &__libc_free, &__libc_memalign};

constinit Allocator found{};
constinit bool is_in_front = false;  // the program's calls reach this allocator and not the preload
constinit std::atomic<const Allocator*> chosen{nullptr};
constinit std::atomic<unsigned> calls{0};

constexpr std::size_t kLeastAlignment = 16;

Next<std::size_t(void*)> next_usable_size{"malloc_usable_size"};

/// Returns a block for the library itself; null if the caller is the program or the C library.
void* allocate_for_library(std::size_t bytes, std::size_t alignment) noexcept {
    return this_thread.inside > 0 ? sys::OwnHeap::allocate(bytes, alignment) : nullptr;
}

template <typename Function>
bool look_up(void* where, const char* name, Function& function) noexcept {
    function = reinterpret_cast<Function>(::dlsym(where, name));
    return function != nullptr;
}

/// Fills `found` with the allocator that a lookup from `where` finds. Returns false if that is the preload's or the C
/// library's.
bool find_allocator(void* where) noexcept {
    Allocator allocator{};
    if (!look_up(where, "malloc", allocator.allocate) || !look_up(where, "calloc", allocator.allocate_zeroed) ||
        !look_up(where, "realloc", allocator.reallocate) || !look_up(where, "free", allocator.release)) {
        return false;
    }
    if (allocator.release == &::free || allocator.release == &__libc_free) return false;
    // An allocator without memalign is used together with the C library's memalign, as without the preload.
    if (!look_up(where, "memalign", allocator.allocate_aligned) || allocator.allocate_aligned == &::memalign) {
        allocator.allocate_aligned = &__libc_memalign;
    }
    found = allocator;
    return true;
}

/// Returns true if the allocator gets its blocks from the preload: it is then a wrapper, for example of a tool that
/// counts calls.
bool leads_to_preload(const Allocator& allocator) noexcept {
    chosen.store(&kLibc, std::memory_order_release);
    const unsigned before = calls.load(std::memory_order_relaxed);
    allocator.release(allocator.allocate(1));
    return calls.load(std::memory_order_relaxed) != before;
}

const Allocator& choose() noexcept {
    if (find_allocator(RTLD_DEFAULT)) {
        is_in_front = !leads_to_preload(found);
        return is_in_front ? found : kLibc;
    }
    // An allocator that the program is linked with comes after the preload. Its blocks must be freed by it, because the
    // program also gets blocks from its other functions (mallocx).
    return find_allocator(RTLD_NEXT) ? found : kLibc;
}

/// Returns the allocator, looked up at the first use. That can be before the preload's constructors run, if the
/// constructor of another library calls strdup.
const Allocator& allocator() noexcept {
    const Allocator* known = chosen.load(std::memory_order_acquire);
    if (known == nullptr) {
        known = &choose();
        chosen.store(known, std::memory_order_release);
    }
    return *known;
}

const void* address_of(const Allocator& allocator) noexcept {
    return reinterpret_cast<const void*>(allocator.allocate);
}

/// Returns the loaded object that contains the address; null fields if there is none.
Dl_info object_of(const void* address) noexcept {
    Dl_info where{};
    return ::dladdr(address, &where) != 0 ? where : Dl_info{};
}

}  // namespace

void* allocate(std::size_t bytes) noexcept {
    if (void* const block = allocate_for_library(bytes, kLeastAlignment)) return block;
    const Allocator& to = allocator();
    calls.fetch_add(1, std::memory_order_relaxed);
    return to.allocate(bytes);
}
void* allocate_zeroed(std::size_t count, std::size_t bytes) noexcept {
    std::size_t product = 0;
    if (!__builtin_mul_overflow(count, bytes, &product)) {
        if (void* const block = allocate_for_library(product, kLeastAlignment)) return std::memset(block, 0, product);
    }
    return allocator().allocate_zeroed(count, bytes);
}
void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept {
    if (void* const block = allocate_for_library(bytes, alignment)) return block;
    return allocator().allocate_aligned(alignment, bytes);
}
void* reallocate(void* block, std::size_t bytes) noexcept {
    if (!sys::OwnHeap::owns(block)) return allocator().reallocate(block, bytes);
    const std::size_t had = sys::OwnHeap::usable_size(block);
    if (bytes <= had && bytes > had / 4) return block;
    void* const moved = allocate(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(bytes, had));
    sys::OwnHeap::release(block);
    return moved;
}
void release(void* block) noexcept {
    if (sys::OwnHeap::owns(block)) return sys::OwnHeap::release(block);
    allocator().release(block);
}
std::size_t usable_size(void* block) noexcept {
    return sys::OwnHeap::owns(block) ? sys::OwnHeap::usable_size(block) : next_usable_size(block);
}

bool program_has_own_malloc() noexcept {
    static_cast<void>(allocator());
    return is_in_front;
}

bool is_code_of_linked_allocator(const void* address) noexcept {
    const Allocator& used = allocator();
    if (&used == &kLibc || address == nullptr) return false;
    const Dl_info code = object_of(address);
    return code.dli_fbase != nullptr && code.dli_fbase == object_of(address_of(used)).dli_fbase;
}

const void* code_of_allocator() noexcept { return address_of(allocator()); }

const char* object_of_own_malloc() noexcept {
    const Dl_info where = object_of(address_of(allocator()));
    return where.dli_fname != nullptr ? where.dli_fname : "";
}

}  // namespace faultline::preload::unmanaged
