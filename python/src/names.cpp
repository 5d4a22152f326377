#include "names.hpp"

#include "run/size_text.hpp"

namespace faultline::python {

std::size_t size_of(const std::string& text) {
    const run::ParsedSize size = run::parse_size(text);
    if (size.problem != nullptr) throw pybind11::value_error("'" + text + "' " + size.problem);
    return size.bytes;
}

}  // namespace faultline::python
