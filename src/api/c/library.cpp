// The C functions for the library itself, and the names of constants.

#include "api/c/errors.hpp"
#include "api/c/words.hpp"

#include <faultline/faultline.h>
#include <faultline/version.hpp>

unsigned faultline_abi_version(void) { return FAULTLINE_ABI_VERSION; }
const char* faultline_version(void) { return FAULTLINE_VERSION_STRING; }
const char* faultline_error_message(void) { return faultline::api::error_message(); }
const char* faultline_delivery_name(int delivery) { return faultline::api::delivery_name(delivery); }
const char* faultline_eviction_name(int eviction) { return faultline::api::eviction_name(eviction); }
