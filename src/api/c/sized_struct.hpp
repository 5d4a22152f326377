// Structs that begin with their size, so that programs and libraries of different versions work together (as in
// openat2(2)).
// `first_bytes`: the size of the struct in the first version of the ABI, which never changes.
#pragma once

#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

namespace faultline::api {

/// The size of a struct whose last field was `last` in the first version of the ABI.
#define FAULTLINE_FIRST_BYTES(type, last) (offsetof(type, last) + sizeof(type::last))

/// Throws std::system_error with EINVAL if the struct's `size` is less than `first_bytes`.
template <typename Struct>
void check_size(const Struct& given, std::size_t first_bytes) {
    if (given.size >= first_bytes) return;
    sys::throw_error(EINVAL, "the field `size` of a struct is " + std::to_string(given.size) +
                                 "; set it to sizeof the struct, here " + std::to_string(sizeof(Struct)));
}

/// Returns what the caller passes in; fields beyond `given->size` are 0. Returns zeros if `given` is null. Throws
/// std::system_error: EINVAL, or E2BIG if the caller's struct is newer and sets a field that is unknown here.
template <typename Struct>
Struct read_sized(const Struct* given, std::size_t first_bytes) {
    static_assert(std::is_trivially_copyable_v<Struct>);
    Struct known{};
    if (given == nullptr) return known;
    check_size(*given, first_bytes);
    const auto* const bytes = reinterpret_cast<const std::byte*>(given);
    const auto set = [](std::byte byte) { return byte != std::byte{0}; };
    if (given->size > sizeof known && std::any_of(bytes + sizeof known, bytes + given->size, set)) {
        sys::throw_error(E2BIG, "a struct of " + std::to_string(given->size) +
                                    " bytes has a field set that this library does not know; update the library");
    }
    std::memcpy(&known, given, std::min(given->size, sizeof known));
    return known;
}

/// Copies `filled` to the caller's struct. Fields that the caller's struct lacks are dropped; bytes beyond `filled` are
/// zeroed. Leaves `size` unchanged. Throws std::system_error: EINVAL.
template <typename Struct>
void write_sized(Struct& to, const Struct& filled, std::size_t first_bytes) {
    static_assert(std::is_trivially_copyable_v<Struct> && offsetof(Struct, size) == 0);
    check_size(to, first_bytes);
    auto* const bytes = reinterpret_cast<std::byte*>(&to);
    const std::size_t known = std::min(to.size, sizeof filled);
    std::memset(bytes + known, 0, to.size - known);
    std::memcpy(bytes + sizeof to.size, reinterpret_cast<const std::byte*>(&filled) + sizeof to.size,
                known - sizeof to.size);
}

}  // namespace faultline::api
