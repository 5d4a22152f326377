// Mapper: the only thing that changes what the MMU sees of managed memory. A seam: the real ones call the kernel, tests
// put a fake here. It keeps no state of pages; the caller owns every page it names (filling, evicting, pinned), and has
// changed the page's word before.
#pragma once

#include "core/signal_safe.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::mmu {

enum class Protection : std::uint8_t { writable, write_protected };

/// How far `Mapper::stage` came: `pages` whole pages are staged; with `error` not 0 the next page was refused, and
/// pages after it were not tried. A refused writable page is where it was. A refused write-protected page may be partly
/// in its slot: putting it back would lose the protection, and its home has the bytes, so the caller drops both.
struct Staged {
    std::size_t pages = 0;
    int error = 0;
};

/// Fault path calls return 0 or an errno and are signal-safe; sizes are in bytes, addresses page-aligned.
class Mapper {
public:
    virtual ~Mapper() = default;

    /// Starts raising faults for a region. Throws std::system_error.
    virtual void watch_region(void* address, std::size_t bytes) = 0;

    /// Says where staged pages go. Throws std::system_error.
    virtual void watch_staging(void* address, std::size_t bytes) = 0;

    /// Maps copies of `from` at `page`, where nothing is mapped, each 4 KiB at once: nobody sees a half-filled one.
    [[nodiscard]] virtual int install(void* page, const void* from, std::size_t bytes,
                                      Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Lets the program write to a write-protected page.
    [[nodiscard]] virtual int allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Takes `pages` neighbouring pages, all mapped with `protection`, off the program's view and into the neighbouring
    /// slots at `slot`. No write is lost: what the program wrote before is in the slot, what it writes after faults.
    /// EBUSY: the kernel holds the page (a device reads or writes it).
    [[nodiscard]] virtual Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                                       Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Puts a staged page back into the program's view, writable; its frame goes along and the slot is empty.
    [[nodiscard]] virtual int unstage(void* slot, void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Forgets what is mapped in the ranges: frames are free, and so is poison.
    virtual void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE = 0;

    /// Makes accesses to an absent page raise SIGBUS until it is dropped. Only where `can_poison`.
    [[nodiscard]] virtual int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;
    [[nodiscard]] virtual bool can_poison() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Wakes whoever sleeps in the kernel for the range.
    virtual void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Whether frames themselves move to staging and back; else bytes are copied, and coming back takes a new frame.
    [[nodiscard]] virtual bool moves_frames() const FAULTLINE_SIGNAL_SAFE = 0;
};

}  // namespace faultline::mmu
