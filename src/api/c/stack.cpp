// The C functions for stacks and stack pools.

#include "api/c/figures.hpp"
#include "api/c/handles.hpp"
#include "api/c/sized_struct.hpp"

#include <cstddef>
#include <optional>
#include <span>

using namespace faultline::api;

namespace {

/// Returns the first byte of a range, and its size if `bytes` is not null.
void* begin_of(std::span<std::byte> memory, size_t* bytes) {
    if (bytes != nullptr) *bytes = memory.size();
    return memory.data();
}

/// Returns 1 and fills in `overflow` if there was an overflow; otherwise returns 0.
int tell(const std::optional<faultline::StackOverflow>& happened, faultline_stack_overflow* overflow) noexcept {
    if (!happened) return 0;
    if (overflow != nullptr) {
        *overflow = {const_cast<std::byte*>(happened->stack), happened->stack_bytes, happened->depth,
                     happened->address};
    }
    return 1;
}

}  // namespace

faultline_stack* faultline_stack_create(faultline_pager* pager, size_t bytes) {
    return guarded<faultline_stack*>(__func__, nullptr, [&] {
        return new faultline_stack{faultline::GuardedStack{checked(pager), bytes}};
    });
}

faultline_stack* faultline_stack_pool_take(faultline_stack_pool* pool) {
    return guarded<faultline_stack*>(__func__, nullptr, [&] { return new faultline_stack{checked(pool).take()}; });
}

void faultline_stack_destroy(faultline_stack* stack) { delete stack; }

int faultline_stack_run(faultline_stack* stack, void (*function)(void*), void* argument,
                        faultline_stack_overflow* overflow) {
    return guarded(__func__, -1, [&] {
        if (function == nullptr) refuse_null("function");
        // noexcept: an exception of the program's function is not an error of this library.
        return tell(checked(stack).run([&]() noexcept { function(argument); }), overflow);
    });
}

int faultline_stack_trim(faultline_stack* stack) {
    return done_or_refused(__func__, [&] { checked(stack).trim(); });
}

int faultline_trim_current_stack(void) {
    return guarded(__func__, -1, [] { return faultline::trim_current_stack() ? 1 : 0; });
}

void* faultline_stack_memory(const faultline_stack* stack, size_t* bytes) {
    return guarded<void*>(__func__, nullptr, [&] { return begin_of(checked(stack).memory(), bytes); });
}

int faultline_stack_overflow_at(const void* address, faultline_stack_overflow* overflow) {
    return tell(faultline::stack_overflow_at(address), overflow);
}

faultline_stack_pool* faultline_stack_pool_create(faultline_pager* pager, const faultline_stack_pool_options* options) {
    return guarded<faultline_stack_pool*>(__func__, nullptr, [&] {
        const auto given = read_sized(options, FAULTLINE_SIZED(faultline_stack_pool_options, pinned_bytes));
        faultline::StackPoolOptions wanted;
        if (given.stack_bytes != 0) wanted.stack_bytes = given.stack_bytes;
        if (given.stacks != 0) wanted.stacks = given.stacks;
        if (given.guard_bytes != 0) wanted.guard_bytes = given.guard_bytes;
        if (given.pinned_bytes != 0) wanted.pinned_bytes = given.pinned_bytes;
        return new faultline_stack_pool{faultline::StackPool{checked(pager), wanted}};
    });
}

void faultline_stack_pool_destroy(faultline_stack_pool* pool) { delete pool; }

void* faultline_stack_pool_take_memory(faultline_stack_pool* pool, size_t* bytes) {
    return guarded<void*>(__func__, nullptr, [&] { return begin_of(checked(pool).take_memory(), bytes); });
}

void faultline_stack_pool_give_back(faultline_stack_pool* pool, void* memory) {
    // The pool finds the stack by its first byte.
    if (pool != nullptr && memory != nullptr) pool->cpp.give_back({static_cast<std::byte*>(memory), 1});
}

int faultline_stack_pool_trim(faultline_stack_pool* pool, const void* stack_pointer) {
    return done_or_refused(__func__, [&] { checked(pool).trim(stack_pointer); });
}

size_t faultline_stack_pool_taken(const faultline_stack_pool* pool) { return pool != nullptr ? pool->cpp.taken() : 0; }

size_t faultline_stack_pool_capacity(const faultline_stack_pool* pool) {
    return pool != nullptr ? pool->cpp.capacity() : 0;
}

int faultline_stack_pool_get_stats(const faultline_stack_pool* pool, faultline_stats* stats) {
    return done_or_refused(__func__, [&] {
        if (stats == nullptr) refuse_null("stats");
        write_stats(*stats, checked(pool).stats());
    });
}

faultline_alternate_stack* faultline_alternate_stack_create(void) {
    return guarded<faultline_alternate_stack*>(__func__, nullptr, [] { return new faultline_alternate_stack{}; });
}

void faultline_alternate_stack_destroy(faultline_alternate_stack* stack) { delete stack; }
