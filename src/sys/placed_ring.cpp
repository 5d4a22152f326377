#include "sys/placed_ring.hpp"

#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/own_place.hpp"
#include "sys/syscall.hpp"

#include <liburing.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace faultline::sys {
namespace {

constexpr unsigned kSetupNoMmap = 1U << 14;        // IORING_SETUP_NO_MMAP
constexpr std::size_t kHeaderBytes = 1024;         // more than the kernel's struct io_rings has in front of the entries
constexpr std::size_t kUserAddressInOffsets = 32;  // of the field user_addr in both structures of offsets

/// The kernel rounds both sizes up, and takes twice as many completions.
struct RingBytes {
    explicit RingBytes(unsigned depth) noexcept {
        const std::size_t entries = std::bit_ceil(depth);
        rings = core::align_up(kHeaderBytes + 2 * entries * sizeof(io_uring_cqe) + entries * sizeof(std::uint32_t),
                               core::kUnitBytes);
        requests = core::align_up(entries * sizeof(io_uring_sqe), core::kUnitBytes);
    }
    [[nodiscard]] std::size_t all() const noexcept { return rings + requests; }

    std::size_t rings;
    std::size_t requests;
};

template <typename Offsets>
void set_user_address(Offsets& offsets, const std::byte* memory) noexcept {
    static_assert(sizeof offsets == kUserAddressInOffsets + sizeof(std::uint64_t));
    const std::uint64_t address = core::address_of(memory);
    std::memcpy(reinterpret_cast<std::byte*>(&offsets) + kUserAddressInOffsets, &address, sizeof address);
}

/// Fills in what io_uring_queue_init fills in.
void describe(io_uring& ring, const io_uring_params& made, std::byte* memory, const RingBytes& bytes) noexcept {
    const auto word = [memory](unsigned offset) { return reinterpret_cast<unsigned*>(memory + offset); };
    ring = {};
    ring.sq.khead = word(made.sq_off.head);
    ring.sq.ktail = word(made.sq_off.tail);
    ring.sq.kring_mask = word(made.sq_off.ring_mask);
    ring.sq.kring_entries = word(made.sq_off.ring_entries);
    ring.sq.kflags = word(made.sq_off.flags);
    ring.sq.kdropped = word(made.sq_off.dropped);
    ring.sq.array = word(made.sq_off.array);
    ring.sq.sqes = reinterpret_cast<io_uring_sqe*>(memory + bytes.rings);
    ring.sq.ring_ptr = ring.cq.ring_ptr = memory;
    ring.sq.ring_sz = ring.cq.ring_sz = bytes.rings;
    ring.sq.ring_mask = *ring.sq.kring_mask;
    ring.sq.ring_entries = *ring.sq.kring_entries;
    ring.cq.khead = word(made.cq_off.head);
    ring.cq.ktail = word(made.cq_off.tail);
    ring.cq.kring_mask = word(made.cq_off.ring_mask);
    ring.cq.kring_entries = word(made.cq_off.ring_entries);
    if (made.cq_off.flags != 0) ring.cq.kflags = word(made.cq_off.flags);
    ring.cq.koverflow = word(made.cq_off.overflow);
    ring.cq.cqes = reinterpret_cast<io_uring_cqe*>(memory + made.cq_off.cqes);
    ring.cq.ring_mask = *ring.cq.kring_mask;
    ring.cq.ring_entries = *ring.cq.kring_entries;
    ring.features = made.features;
    ring.flags = made.flags;
    // Newer versions of liburing do not write the array again.
    for (unsigned i = 0; i < ring.sq.ring_entries; ++i) ring.sq.array[i] = i;
}

}  // namespace

int open_placed_ring(unsigned depth, io_uring& ring) noexcept {
    const RingBytes bytes{depth};
    std::byte* const memory = OwnPlace::take(bytes.all(), core::kUnitBytes, OwnPlace::InChild::free);
    if (memory == nullptr) return -ENOTSUP;
    io_uring_params params{};
    params.flags = kSetupNoMmap;
    set_user_address(params.cq_off, memory);
    set_user_address(params.sq_off, memory + bytes.rings);
    long fd = -set_access(memory, bytes.all(), Access::read_write);
    if (fd == 0) fd = -advise(memory, bytes.all(), MADV_DONTFORK);
    if (fd == 0) fd = raw_syscall(SYS_io_uring_setup, depth, syscall_argument(&params));
    if (fd < 0) {
        OwnPlace::give_back(memory, bytes.all());
        return static_cast<int>(fd);
    }
    describe(ring, params, memory, bytes);
    ring.ring_fd = ring.enter_ring_fd = static_cast<int>(fd);
    return 0;
}

bool close_placed_ring(io_uring& ring) noexcept {
    const std::uintptr_t begin = core::address_of(ring.sq.ring_ptr);
    if (!OwnPlace::overlaps({begin, begin + 1})) return false;
    if (ring.ring_fd >= 0) raw_syscall(SYS_close, ring.ring_fd);
    OwnPlace::give_back(ring.sq.ring_ptr, ring.sq.ring_sz + core::align_up(ring.sq.ring_entries * sizeof(io_uring_sqe),
                                                                           core::kUnitBytes));
    return true;
}

}  // namespace faultline::sys
