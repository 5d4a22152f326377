#include "preload/interposition.hpp"

#include "core/units.hpp"
#include "preload/io_functions.hpp"
#include "preload/managed_heap.hpp"
#include "sys/loaded_object.hpp"
#include "sys/syscall.hpp"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>

namespace faultline::preload {
namespace {

using sys::LoadedObject;
using sys::raw_syscall;
using sys::syscall_argument;

struct Replaced {
    const char* name;
    void* function;
};

constexpr std::size_t kMostReplaced = 128;

std::array<Replaced, kMostReplaced> replaced;
std::size_t replaced_count = 0;

/// Makes read-only pages of a loaded library writable until destroyed.
class WritablePages {
public:
    WritablePages(std::uintptr_t first, std::uintptr_t last) noexcept
        : begin_{core::align_down(first, core::kUnitBytes)},
          bytes_{core::align_down(last, core::kUnitBytes) + core::kUnitBytes - begin_},
          writable_{raw_syscall(SYS_mprotect, begin_, bytes_, PROT_READ | PROT_WRITE) == 0} {}
    ~WritablePages() {
        if (writable_) raw_syscall(SYS_mprotect, begin_, bytes_, PROT_READ);
    }
    WritablePages(const WritablePages&) = delete;
    WritablePages& operator=(const WritablePages&) = delete;

    [[nodiscard]] bool writable() const noexcept { return writable_; }
    [[nodiscard]] bool hold(const ElfW(Sym) & symbol) const noexcept {
        return core::address_of(&symbol) - begin_ <= bytes_ - sizeof symbol;
    }

private:
    std::uintptr_t begin_;
    std::size_t bytes_;
    bool writable_;
};

/// Calls `visit(ours, theirs)` for each function that both libraries export, but those for I/O: they need not see all
/// calls, and a library that interposes them, too, must find the C library's.
template <typename Visit>
void for_each_shared_function(const LoadedObject& self, const LoadedObject& libc, Visit visit) noexcept {
    self.for_each_definition([&](const ElfW(Sym) & ours) {
        if (ELF64_ST_TYPE(ours.st_info) != STT_FUNC || ours.st_shndx == SHN_UNDEF) return;
        if (is_io_function(self.name_of(ours))) return;
        ElfW(Sym)* const theirs = libc.find(self.name_of(ours));
        if (theirs != nullptr && ELF64_ST_TYPE(theirs->st_info) == STT_FUNC) visit(ours, *theirs);
    });
}

/// The range of addresses that the replaced functions' symbols occupy.
struct SymbolSpan {
    std::uintptr_t first = UINTPTR_MAX;
    std::uintptr_t last = 0;
};

SymbolSpan span_of_replaced(const LoadedObject& self, const LoadedObject& libc) noexcept {
    SymbolSpan span;
    for_each_shared_function(self, libc, [&](const ElfW(Sym)&, ElfW(Sym) & theirs) {
        const std::uintptr_t begin = core::address_of(&theirs);
        span.first = std::min(span.first, begin);
        span.last = std::max(span.last, begin + sizeof theirs - 1);
    });
    return span;
}

}  // namespace

void replace_functions_of_libc() noexcept {
    const LoadedObject libc = LoadedObject::named("libc.so.6");
    const LoadedObject self = LoadedObject::with_dynamic(_DYNAMIC);
    if (!libc || !self) return;
    const SymbolSpan span = span_of_replaced(self, libc);
    if (span.first > span.last) return;
    // If the system refuses this (SELinux may), modules that bind past the preload keep using the C library.
    const WritablePages pages{span.first, span.last};
    if (!pages.writable()) return;
    for_each_shared_function(self, libc, [&](const ElfW(Sym) & ours, ElfW(Sym) & theirs) {
        if (replaced_count == kMostReplaced) return;
        replaced[replaced_count++] = {self.name_of(ours), libc.address_of(theirs)};
        const ElfW(Addr) before = theirs.st_value;
        const ElfW(Addr) after = core::address_of(self.address_of(ours)) - libc.base();
        // Also replaces older versions of the symbol that are the same function.
        libc.for_each_version(self.name_of(ours), [&](ElfW(Sym) & version, bool) {
            if (version.st_value != before || !pages.hold(version)) return;
            std::atomic_ref{version.st_value}.store(after, std::memory_order_release);  // other threads may read it
        });
    });
}

void* replaced_function(const char* name) noexcept {
    Replaced* const end = replaced.data() + replaced_count;
    const Replaced* const found =
        std::find_if(replaced.data(), end, [&](const Replaced& each) { return std::strcmp(each.name, name) == 0; });
    return found != end ? found->function : nullptr;
}

bool is_own_code(const void* address) noexcept { return ManagedHeap::neighbours().self.contains(address); }

}  // namespace faultline::preload
