#include "preload/managed_heap.hpp"

#include "preload/libc_malloc.hpp"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <memory>

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

}  // namespace

void ManagedHeap::find_neighbours() noexcept { ::dl_iterate_phdr(&look_at, &neighbours_); }

detail::Heap& ManagedHeap::make(const run::Settings& settings) {
    Config config;
    config.resident_limit = settings.resident_limit;
    config.compressed_limit = settings.compressed_limit;
    config.swap_directory = settings.swap_directory;
    config.delivery = settings.delivery;
    config.fork = ForkPolicy::inherit;
    HeapConfig heap;
    heap.reservation = settings.heap_reservation;
    // Never deleted.
    return *new detail::Heap{std::make_shared<detail::Pager>(config), heap};
}

}  // namespace faultline::preload
