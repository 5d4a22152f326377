#include "display/json.hpp"

#include "display/format.hpp"

#include <cstdlib>

namespace faultline::display {

double rounded(double value) { return std::strtod(printed("%.10g", value).c_str(), nullptr); }

std::string json_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace faultline::display
