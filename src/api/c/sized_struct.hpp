// Structs that begin with their size, so that programs and libraries of different versions work together (as in
// openat2(2)).
#pragma once

#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

namespace faultline::api {

/// A struct that begins with its size.
struct SizedStruct {
    const char* name;         ///< For messages.
    std::size_t first_bytes;  ///< Its size in the first version of the ABI, which never changes.
};

/// Describes the struct `type`, whose last field in the first version of the ABI was `last`.
#define FAULTLINE_SIZED(type, last) \
    ::faultline::api::SizedStruct { #type, offsetof(type, last) + sizeof(type::last) }

/// Throws std::system_error with EINVAL if the struct's `size` is less than in the first version.
template <typename Struct>
void check_size(const Struct& given, const SizedStruct& type) {
    if (given.size >= type.first_bytes) return;
    const std::string name = type.name;
    sys::throw_error(EINVAL, name + ".size is " + std::to_string(given.size) + "; set it to sizeof(" + name + ")");
}

/// Returns what the caller passes in; fields beyond `given->size` are 0. Returns zeros if `given` is null. Throws
/// std::system_error: EINVAL, or E2BIG if the caller's struct is newer and sets a field that is unknown here.
template <typename Struct>
Struct read_sized(const Struct* given, const SizedStruct& type) {
    static_assert(std::is_trivially_copyable_v<Struct>);
    Struct known{};
    if (given == nullptr) return known;
    check_size(*given, type);
    const auto* const bytes = reinterpret_cast<const std::byte*>(given);
    const auto set = [](std::byte byte) { return byte != std::byte{0}; };
    if (given->size > sizeof known && std::any_of(bytes + sizeof known, bytes + given->size, set)) {
        sys::throw_error(E2BIG, std::string(type.name) + " of " + std::to_string(given->size) +
                                    " bytes has a field set that this library does not know; update the library");
    }
    std::memcpy(&known, given, std::min(given->size, sizeof known));
    return known;
}

/// Copies `filled` to the caller's struct. Fields that the caller's struct lacks are dropped; bytes beyond `filled` are
/// zeroed. Leaves `size` unchanged. Throws std::system_error: EINVAL.
template <typename Struct>
void write_sized(Struct& to, const Struct& filled, const SizedStruct& type) {
    static_assert(std::is_trivially_copyable_v<Struct> && offsetof(Struct, size) == 0);
    check_size(to, type);
    auto* const bytes = reinterpret_cast<std::byte*>(&to);
    const std::size_t known = std::min(to.size, sizeof filled);
    std::memset(bytes + known, 0, to.size - known);
    std::memcpy(bytes + sizeof to.size, reinterpret_cast<const std::byte*>(&filled) + sizeof to.size,
                known - sizeof to.size);
}

}  // namespace faultline::api
