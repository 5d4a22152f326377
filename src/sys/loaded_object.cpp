// This file is compiled so that the compiler adds no calls of memcpy, strlen or the like (src/CMakeLists.txt): the code
// here may have to bind them first.

#include "sys/loaded_object.hpp"

namespace faultline::sys {
namespace {

bool equal(const char* a, const char* b) noexcept {
    while (*a != '\0' && *a == *b) {
        ++a;
        ++b;
    }
    return *a == *b;
}

}  // namespace

LoadedObject::LoadedObject(const link_map& map) FAULTLINE_SIGNAL_SAFE : base_{map.l_addr} {
    const ElfW(Dyn)* soname = nullptr;
    const std::uint32_t* hash_table = nullptr;
    // The loader has added the base to these addresses, except in the kernel's vDSO.
    const auto address = [&](const ElfW(Dyn) & entry) {
        return entry.d_un.d_ptr < base_ ? entry.d_un.d_ptr + base_ : entry.d_un.d_ptr;
    };
    for (const ElfW(Dyn)* entry = map.l_ld; entry->d_tag != DT_NULL; ++entry) {
        if (entry->d_tag == DT_SYMTAB) symbols_ = reinterpret_cast<ElfW(Sym)*>(address(*entry));
        if (entry->d_tag == DT_STRTAB) strings_ = reinterpret_cast<const char*>(address(*entry));
        if (entry->d_tag == DT_VERSYM) versions_ = reinterpret_cast<const ElfW(Half)*>(address(*entry));
        if (entry->d_tag == DT_GNU_HASH) hash_table = reinterpret_cast<const std::uint32_t*>(address(*entry));
        if (entry->d_tag == DT_SONAME) soname = entry;
    }
    if (strings_ == nullptr || hash_table == nullptr) symbols_ = nullptr;
    if (symbols_ == nullptr) return;
    if (soname != nullptr) soname_ = strings_ + soname->d_un.d_val;
    read_hash_table(hash_table);
}

/// Layout: four numbers, a Bloom filter of words, the buckets, and a chain entry for each hashed symbol.
void LoadedObject::read_hash_table(const std::uint32_t* table) FAULTLINE_SIGNAL_SAFE {
    bucket_count_ = table[0];
    first_hashed_ = table[1];
    const std::uint32_t filter_words = table[2];
    buckets_ = table + 4 + filter_words * (sizeof(ElfW(Addr)) / sizeof *table);
    chains_ = buckets_ + bucket_count_;
}

/// Returns the hash that DT_GNU_HASH uses.
std::uint32_t LoadedObject::hash_of(const char* name) FAULTLINE_SIGNAL_SAFE {
    std::uint32_t hash = 5381;
    for (; *name != '\0'; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
    return hash;
}

bool LoadedObject::is_definition(std::uint32_t symbol, const char* name) const FAULTLINE_SIGNAL_SAFE {
    const ElfW(Sym)& it = symbols_[symbol];
    return it.st_shndx != SHN_UNDEF && it.st_value != 0 && equal(name_of(it), name);
}

bool LoadedObject::has_hidden_version(std::uint32_t symbol) const FAULTLINE_SIGNAL_SAFE {
    constexpr unsigned kHidden = 0x8000;
    return versions_ != nullptr && (versions_[symbol] & kHidden) != 0;
}

bool LoadedObject::has_soname(const char* name) const FAULTLINE_SIGNAL_SAFE {
    return symbols_ != nullptr && soname_ != nullptr && equal(soname_, name);
}

LoadedObject LoadedObject::named(const char* soname) FAULTLINE_SIGNAL_SAFE {
    for (const link_map* map = _r_debug.r_map; map != nullptr; map = map->l_next) {
        const LoadedObject object{*map};
        if (object.has_soname(soname)) return object;
    }
    return {};
}

LoadedObject LoadedObject::with_dynamic(const ElfW(Dyn) * dynamic) FAULTLINE_SIGNAL_SAFE {
    for (const link_map* map = _r_debug.r_map; map != nullptr; map = map->l_next) {
        if (map->l_ld == dynamic) return LoadedObject{*map};
    }
    return {};
}

ElfW(Sym) * LoadedObject::find(const char* name) const FAULTLINE_SIGNAL_SAFE {
    ElfW(Sym)* found = nullptr;
    for_each_version(name, [&](ElfW(Sym) & symbol, bool is_default) {
        if (is_default) found = &symbol;
    });
    return found;
}

void* LoadedObject::address_of(const ElfW(Sym) & symbol) const FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t address = base_ + symbol.st_value;
    if (ELF64_ST_TYPE(symbol.st_info) != STT_GNU_IFUNC) return reinterpret_cast<void*>(address);
    return reinterpret_cast<void* (*)()>(address)();
}

void* LoadedObject::function(const char* name) const FAULTLINE_SIGNAL_SAFE {
    const ElfW(Sym)* const symbol = find(name);
    return symbol != nullptr ? address_of(*symbol) : nullptr;
}

}  // namespace faultline::sys
