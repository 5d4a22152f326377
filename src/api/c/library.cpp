// The C functions for the library itself, and the names of constants.

#include <faultline/faultline.h>
#include <faultline/names.hpp>
#include <faultline/types.hpp>
#include <faultline/version.hpp>
#include "api/c/errors.hpp"

#include <cstddef>

namespace {

template <faultline::NamedEnum Enum>
const char* name_of(int word) noexcept {
    const auto index = static_cast<std::size_t>(word);  // a negative number is beyond all names
    const auto all = faultline::names<Enum>();
    return index < all.size() ? all[index] : "unknown";
}

}  // namespace

unsigned faultline_abi_version(void) { return FAULTLINE_ABI_VERSION; }
const char* faultline_version(void) { return FAULTLINE_VERSION_STRING; }
const char* faultline_error_message(void) { return faultline::api::error_message(); }
const char* faultline_delivery_name(int delivery) { return name_of<faultline::Delivery>(delivery); }
const char* faultline_eviction_name(int eviction) { return name_of<faultline::Eviction>(eviction); }
