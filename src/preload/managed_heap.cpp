#include "preload/managed_heap.hpp"

#include "pager/log/standard_error_log.hpp"
#include "preload/libc_malloc.hpp"
#include "preload/unmanaged.hpp"
#include "run/program_heap.hpp"
#include "sys/error.hpp"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <string>

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
    if (code.contains(unmanaged::code_of_allocator())) found.allocator = code;
    if (code.contains(reinterpret_cast<const void*>(&look_at))) found.self = code;
    if (object->dlpi_addr != 0 && object->dlpi_addr == ::getauxval(AT_BASE)) found.loader = code;
    return 0;
}

void say_smaller(std::size_t bytes) {
    pager::say_on_standard_error(LogLevel::warning,
                                 "the heap gets only " + sys::readable_bytes(bytes) +
                                     " of addresses, half of what `ulimit -v` or `sysctl vm.overcommit_memory` allow; "
                                     "set FAULTLINE_HEAP for another size");
}

}  // namespace

void ManagedHeap::find_neighbours() noexcept { ::dl_iterate_phdr(&look_at, &neighbours_); }

heap::Heap& ManagedHeap::make(const run::Settings& settings) {
    run::ProgramHeap made = run::make_program_heap(settings);
    if (made.reservation != settings.heap_reservation) say_smaller(made.reservation);
    return *made.heap.release();  // never deleted
}

}  // namespace faultline::preload
