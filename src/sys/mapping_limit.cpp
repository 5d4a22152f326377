#include "sys/mapping_limit.hpp"

#include "sys/error.hpp"

#include <cerrno>

namespace faultline::sys {

void throw_mapping_error(int error, const std::string& what, const std::string& reason) {
    if (error != ENOMEM) throw_error(error, what);
    throw_error(error, what + "; " FAULTLINE_MAPPING_ADVICE + (reason.empty() ? "" : ": " + reason));
}

}  // namespace faultline::sys
