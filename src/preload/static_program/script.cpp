#include "preload/static_program/script.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>

namespace faultline::preload {
namespace {

constexpr std::size_t kMostLineBytes = 256;  // of the first line: as much as the kernel reads
constexpr std::string_view kBlanks = " \t";

/// Returns a copy that is never freed.
const char* keep(std::string_view text) {
    auto* const copy = new char[text.size() + 1];
    std::copy(text.begin(), text.end(), copy);
    copy[text.size()] = '\0';
    return copy;
}

std::string_view without_blanks(std::string_view text) noexcept {
    const std::size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);  // npos + 1 is 0
}

}  // namespace

bool Script::resolve(int file, Words& words) {
    std::array<char, kMostLineBytes> buffer{};
    const ssize_t got = ::pread(file, buffer.data(), buffer.size(), 0);
    std::string_view line{buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    if (line.substr(0, 2) != "#!") return false;
    line = without_blanks(line.substr(2, line.find('\n', 2) - 2));
    const std::string_view interpreter = line.substr(0, line.find_first_of(kBlanks));
    if (interpreter.empty()) throw std::runtime_error("the script names no interpreter");
    const std::string_view argument = without_blanks(line.substr(interpreter.size()));
    std::vector<const char*> arguments{keep(interpreter)};
    if (!argument.empty()) arguments.push_back(keep(argument));
    arguments.push_back(words.program);
    if (!words.arguments.empty()) {
        arguments.insert(arguments.end(), words.arguments.begin() + 1, words.arguments.end());
    }
    words = {arguments.front(), std::move(arguments)};
    return true;
}

}  // namespace faultline::preload
