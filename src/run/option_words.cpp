#include "run/option_words.hpp"

#include <array>

namespace faultline::run {
namespace {

struct Wording {
    std::string_view library;
    std::string_view command;
};

constexpr std::array kWordings{
    Wording{"faultline: ", ""},  // a message may quote another one
    Wording{"Config::swap_directory", "--swap (FAULTLINE_SWAP)"},
    Wording{"Config::memory_limit", "--memory (FAULTLINE_MEMORY)"},
    Wording{"Config::resident_limit", "--resident (FAULTLINE_RESIDENT)"},
    Wording{"Config::compressed_limit", "--compressed (FAULTLINE_COMPRESSED)"},
    Wording{"Config::delivery", "--delivery (FAULTLINE_DELIVERY)"},
    Wording{"HeapOptions::reservation", "--heap (FAULTLINE_HEAP)"},
    Wording{", or set Config::background_evictor to false", ""},
    Wording{", or set Config::handler_threads", ""},
};

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

}  // namespace

std::string in_words_of_options(std::string_view message) {
    std::string text{message};
    for (const Wording& wording : kWordings) replace_all(text, wording.library, wording.command);
    return text;
}

}  // namespace faultline::run
