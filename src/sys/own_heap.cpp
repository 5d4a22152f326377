#include "sys/own_heap.hpp"

#include "core/units.hpp"
#include "sys/futex_lock.hpp"
#include "sys/own_place.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace faultline::sys {
namespace {

// A block's memory has one of these sizes: a power of two, or one and a half times that. Larger blocks have pages of
// their own.
constexpr std::size_t kLeastBlock = 32;
constexpr std::size_t kMostBlock = std::size_t{32} << 10;
constexpr std::size_t kClasses = std::size_t{2} * 11;
constexpr std::size_t kChunkBytes = std::size_t{128} << 10;
constexpr std::uint32_t kOwnPages = kClasses;

/// Lies in front of what the caller gets.
struct BlockHeader {
    std::uint32_t size_class;  // kOwnPages: none
    std::uint32_t offset;      // of the caller's memory in the block's
    std::uint64_t bytes;       // of the block's memory
};
static_assert(sizeof(BlockHeader) == 16);

struct FreeBlock {
    FreeBlock* next;
};

constinit FutexLock changing_heap;  // guards all below; held with all signals blocked. Before OwnPlace's lock
constinit std::array<FreeBlock*, kClasses> free_blocks{};
constinit std::byte* chunk = nullptr;  // memory that was never used
constinit std::size_t chunk_left = 0;
constinit std::uint64_t mask_before_fork = 0;

constexpr std::size_t bytes_of_class(std::size_t index) noexcept {
    const std::size_t power = kLeastBlock << index / 2;
    return index % 2 == 0 ? power : power + power / 2;
}
static_assert(bytes_of_class(kClasses - 2) == kMostBlock);

/// Returns the smallest class of at least `bytes`, at most kMostBlock.
std::size_t class_for(std::size_t bytes) noexcept {
    std::size_t index = 0;
    while (bytes_of_class(index) < bytes) ++index;
    return index;
}

std::byte* take_pages(std::size_t bytes) noexcept {
    std::byte* const pages = OwnPlace::take(bytes, core::kUnitBytes, OwnPlace::InChild::kept);
    if (pages == nullptr) return nullptr;
    raw_syscall(SYS_madvise, syscall_argument(pages), bytes, MADV_NOHUGEPAGE);
    if (raw_syscall(SYS_mprotect, syscall_argument(pages), bytes, PROT_READ | PROT_WRITE) == 0) return pages;
    OwnPlace::give_back(pages, bytes);
    return nullptr;
}

/// Returns memory of the class, or null.
std::byte* take_block(std::size_t size_class) noexcept {
    if (FreeBlock* const found = free_blocks[size_class]) {
        free_blocks[size_class] = found->next;
        return reinterpret_cast<std::byte*>(found);
    }
    const std::size_t bytes = bytes_of_class(size_class);
    if (chunk_left < bytes) {
        std::byte* const fresh = take_pages(kChunkBytes);
        if (fresh == nullptr) return nullptr;
        chunk = fresh;  // what is left of the old one stays unused
        chunk_left = kChunkBytes;
    }
    std::byte* const block = chunk;
    chunk += bytes;
    chunk_left -= bytes;
    return block;
}

BlockHeader& header_of(const void* block) noexcept {
    auto* const bytes = static_cast<std::byte*>(const_cast<void*>(block));  // NOLINT: the header is not the caller's
    return *reinterpret_cast<BlockHeader*>(bytes - sizeof(BlockHeader));
}

constexpr std::uint64_t bit_of_signal(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

void end_fork_of_heap() noexcept {
    const std::uint64_t mask = mask_before_fork;
    changing_heap.unlock();
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, syscall_argument(&mask), 0, sizeof mask);
}

}  // namespace

void* OwnHeap::allocate(std::size_t bytes, std::size_t alignment) FAULTLINE_SIGNAL_SAFE {
    alignment = std::max(alignment, sizeof(BlockHeader));
    const std::size_t all = bytes + sizeof(BlockHeader) + (alignment - sizeof(BlockHeader));
    if (all < bytes || all > PTRDIFF_MAX / 2 || alignment > UINT32_MAX / 2) return nullptr;
    std::byte* memory = nullptr;
    BlockHeader header{kOwnPages, 0, core::align_up(all, core::kUnitBytes)};
    if (all > kMostBlock) {
        memory = take_pages(header.bytes);
    } else {
        const std::size_t size_class = class_for(all);
        header.size_class = static_cast<std::uint32_t>(size_class);
        header.bytes = bytes_of_class(size_class);
        const SignalBlock signals;
        const std::lock_guard lock{changing_heap};
        memory = take_block(size_class);
    }
    if (memory == nullptr) return nullptr;
    const std::uintptr_t begin = core::address_of(memory);
    header.offset = static_cast<std::uint32_t>(core::align_up(begin + sizeof(BlockHeader), alignment) - begin);
    std::byte* const block = memory + header.offset;
    header_of(block) = header;
    return block;
}

void OwnHeap::release(void* block) FAULTLINE_SIGNAL_SAFE {
    const BlockHeader header = header_of(block);
    std::byte* const memory = static_cast<std::byte*>(block) - header.offset;
    if (header.size_class == kOwnPages) {
        OwnPlace::give_back(memory, header.bytes);
        return;
    }
    auto* const freed = reinterpret_cast<FreeBlock*>(memory);
    const SignalBlock signals;
    const std::lock_guard lock{changing_heap};
    freed->next = free_blocks[header.size_class];
    free_blocks[header.size_class] = freed;
}

std::size_t OwnHeap::usable_size(const void* block) FAULTLINE_SIGNAL_SAFE {
    const BlockHeader& header = header_of(block);
    return header.bytes - header.offset;
}

bool OwnHeap::owns(const void* block) FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t address = core::address_of(block);
    return OwnPlace::overlaps({address, address + 1});
}

// A handler of the program that runs in between on this thread may need memory here. Faults stay possible: the stack of
// this thread may be managed.
void OwnHeap::before_fork() noexcept {
    const std::uint64_t blocked = ~(bit_of_signal(SIGSEGV) | bit_of_signal(SIGBUS) | bit_of_signal(SIGSYS));
    std::uint64_t previous = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, syscall_argument(&blocked), syscall_argument(&previous),
                sizeof previous);
    changing_heap.lock();
    mask_before_fork = previous;
    OwnPlace::before_fork();
}

void OwnHeap::after_fork_in_parent() noexcept {
    OwnPlace::after_fork_in_parent();
    end_fork_of_heap();
}

void OwnHeap::after_fork_in_child() noexcept {
    OwnPlace::after_fork_in_child();
    end_fork_of_heap();
}

}  // namespace faultline::sys
