#include "preload/managed_heap.hpp"

#include "pager/log/standard_error_log.hpp"
#include "preload/libc_malloc.hpp"
#include "sys/error.hpp"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <cerrno>
#include <memory>
#include <system_error>

namespace faultline::preload {
namespace {

CodeRange code_of(const dl_phdr_info& object) noexcept {
    CodeRange range;
    for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
        const ElfW(Phdr)& part = object.dlpi_phdr[i];
        if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
        range = {object.dlpi_addr + part.p_vaddr, object.dlpi_addr + part.p_vaddr + part.p_memsz};
    }
    return range;
}

int look_at(dl_phdr_info* object, std::size_t, void* into) {
    Neighbours& found = *static_cast<Neighbours*>(into);
    const CodeRange code = code_of(*object);
    if (code.contains(reinterpret_cast<const void*>(&__libc_malloc))) found.libc = code;
    if (code.contains(reinterpret_cast<const void*>(&look_at))) found.self = code;
    if (object->dlpi_addr != 0 && object->dlpi_addr == ::getauxval(AT_BASE)) found.loader = code;
    return 0;
}

constexpr std::size_t kLeastReservation = std::size_t{64} << 20;

/// Null where the process, or the machine, does not have the addresses.
heap::Heap* try_reserve_heap(const std::shared_ptr<pager::Pager>& pager, const HeapConfig& config) {
    try {
        return new heap::Heap{pager, config};  // never deleted
    } catch (const std::system_error& error) {
        if (error.code().value() != ENOMEM) throw;
        return nullptr;
    }
}

void say_smaller(std::size_t bytes) {
    pager::say_on_standard_error(
        LogLevel::warning, "the heap has " + sys::readable_bytes(bytes) +
                               " of addresses only, half of what `ulimit -v` or `sysctl vm.overcommit_memory` allow; "
                               "FAULTLINE_HEAP sets another size");
}

/// The default is far more than most programs need: where there are not so many addresses, the heap takes half of what
/// there is and leaves the rest to the program. What the user has set is taken, or refused.
heap::Heap& reserve_heap(const std::shared_ptr<pager::Pager>& pager, HeapConfig config) {
    const std::size_t wanted = config.reservation;
    if (wanted != HeapConfig{}.reservation) return *new heap::Heap{pager, config};
    while (config.reservation > kLeastReservation) {
        if (heap::Heap* const heap = try_reserve_heap(pager, config)) {
            if (config.reservation == wanted) return *heap;
            delete heap;
            config.reservation /= 2;
            break;
        }
        config.reservation /= 2;
    }
    auto* const heap = new heap::Heap{pager, config};
    say_smaller(config.reservation);
    return *heap;
}

}  // namespace

void ManagedHeap::find_neighbours() noexcept { ::dl_iterate_phdr(&look_at, &neighbours_); }

heap::Heap& ManagedHeap::make(const run::Settings& settings) {
    Config config;
    config.resident_limit = settings.resident_limit;
    config.compressed_limit = settings.compressed_limit;
    config.swap_directory = settings.swap_directory;
    config.delivery = settings.delivery;
    config.fork = ForkPolicy::inherit;
    HeapConfig heap;
    heap.reservation = settings.heap_reservation;
    return reserve_heap(std::make_shared<pager::Pager>(config), heap);
}

}  // namespace faultline::preload
