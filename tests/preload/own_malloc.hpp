// An allocator that ends the program on a block that it has not allocated, and that is locked during fork, as jemalloc
// is. It never reuses memory. The one file of a program or library that includes this header defines malloc's family.
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace own_malloc {

struct Header {
    std::uint64_t bytes;
    std::uint64_t magic;
};
constexpr std::uint64_t kMagic = 0x6f776e206d616c6c;

alignas(16) inline unsigned char memory[std::size_t{16} << 20];
inline std::atomic<std::size_t> used{0};

inline pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
inline const bool prepares_for_fork = [] {
    const auto leave = [] { pthread_mutex_unlock(&lock); };
    return pthread_atfork([] { pthread_mutex_lock(&lock); }, leave, leave) == 0;
}();

inline void* make(std::size_t bytes) {
    const std::size_t whole = sizeof(Header) + (bytes + 15) / 16 * 16;
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    const std::size_t at = used.fetch_add(whole);
    if (at > sizeof memory || whole > sizeof memory - at) return nullptr;
    return new (static_cast<void*>(memory + at)) Header{bytes, kMagic} + 1;
}

inline Header& header_of(const void* block) {
    auto* const header = static_cast<Header*>(const_cast<void*>(block)) - 1;
    const auto* const at = reinterpret_cast<unsigned char*>(header);
    if (at < memory || at >= memory + used || header->magic != kMagic) {
        constexpr char kMessage[] = "own_malloc: not a block of this allocator\n";
        static_cast<void>(!::write(2, kMessage, sizeof kMessage - 1));
        ::_exit(1);
    }
    return *header;
}

inline void release(void* block) {
    if (block != nullptr) static_cast<void>(header_of(block));
}

inline void* resize(void* block, std::size_t bytes) {
    void* const moved = make(bytes);
    if (block != nullptr && moved != nullptr) {
        const std::size_t had = header_of(block).bytes;
        std::memcpy(moved, block, had < bytes ? had : bytes);
    }
    return moved;
}

}  // namespace own_malloc

// NOLINTBEGIN: the C library's names and signatures
extern "C" {
void* malloc(std::size_t bytes) noexcept { return own_malloc::make(bytes); }
void* calloc(std::size_t count, std::size_t bytes) noexcept { return own_malloc::make(count * bytes); }  // fresh: zeros
void* realloc(void* block, std::size_t bytes) noexcept { return own_malloc::resize(block, bytes); }
void free(void* block) noexcept { own_malloc::release(block); }
}
// NOLINTEND
