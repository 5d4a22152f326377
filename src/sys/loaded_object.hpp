// LoadedObject: the dynamic symbols of an ELF object that the dynamic loader has mapped (libc.so.6, this library). It
// reads the loader's tables and calls no function of another object, so a program cannot interpose it. It loads nothing
// and binds nothing. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"

#include <link.h>

#include <cstdint>

namespace faultline::sys {

class LoadedObject {
public:
    /// Returns the object with that DT_SONAME in the program's own namespace. Converts to false if there is none.
    [[nodiscard]] static LoadedObject named(const char* soname) FAULTLINE_SIGNAL_SAFE;
    /// Returns the object with that dynamic section.
    [[nodiscard]] static LoadedObject with_dynamic(const ElfW(Dyn) * dynamic) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] explicit operator bool() const noexcept { return symbols_ != nullptr; }

    /// Returns the definition of `name` in its default version, or null.
    [[nodiscard]] ElfW(Sym) * find(const char* name) const FAULTLINE_SIGNAL_SAFE;

    /// Returns the address of a definition. For a function with several implementations (IFUNC), the one for this
    /// machine.
    [[nodiscard]] void* address_of(const ElfW(Sym) & symbol) const FAULTLINE_SIGNAL_SAFE;

    /// Returns the address of the default version of a function, or null if the object does not define it.
    [[nodiscard]] void* function(const char* name) const FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] const char* name_of(const ElfW(Sym) & symbol) const FAULTLINE_SIGNAL_SAFE {
        return strings_ + symbol.st_name;
    }
    [[nodiscard]] std::uintptr_t base() const noexcept { return base_; }

    /// Calls `visit(symbol, is_default)` for each version of a definition of `name`.
    template <typename Visit>
    void for_each_version(const char* name, Visit visit) const FAULTLINE_SIGNAL_SAFE {
        if (symbols_ == nullptr || bucket_count_ == 0) return;
        const std::uint32_t hash = hash_of(name);
        std::uint32_t at = buckets_[hash % bucket_count_];
        if (at < first_hashed_) return;
        for (bool last = false; !last; ++at) {
            const std::uint32_t chained = chains_[at - first_hashed_];
            last = (chained & 1) != 0;
            if ((chained | 1) == (hash | 1) && is_definition(at, name)) visit(symbols_[at], !has_hidden_version(at));
        }
    }

    /// Calls `visit(symbol)` for every definition, in every version.
    template <typename Visit>
    void for_each_definition(Visit visit) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint32_t bucket = 0; bucket < bucket_count_; ++bucket) {
            std::uint32_t at = buckets_[bucket];
            if (at < first_hashed_) continue;
            do {
                visit(symbols_[at]);
            } while ((chains_[at++ - first_hashed_] & 1) == 0);
        }
    }

private:
    LoadedObject() noexcept = default;
    explicit LoadedObject(const link_map& map) FAULTLINE_SIGNAL_SAFE;

    void read_hash_table(const std::uint32_t* table) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static std::uint32_t hash_of(const char* name) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool has_soname(const char* name) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool is_definition(std::uint32_t symbol, const char* name) const FAULTLINE_SIGNAL_SAFE;
    /// Returns true if only objects that were linked against that version use it.
    [[nodiscard]] bool has_hidden_version(std::uint32_t symbol) const FAULTLINE_SIGNAL_SAFE;

    std::uintptr_t base_ = 0;
    ElfW(Sym) * symbols_ = nullptr;
    const char* strings_ = nullptr;
    const char* soname_ = nullptr;
    const ElfW(Half) * versions_ = nullptr;
    const std::uint32_t* buckets_ = nullptr;
    const std::uint32_t* chains_ = nullptr;
    std::uint32_t bucket_count_ = 0;
    std::uint32_t first_hashed_ = 0;
};

}  // namespace faultline::sys
