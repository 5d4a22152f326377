#include "elf/initial_stack.hpp"

#include <elf.h>

#include <cstring>
#include <span>
#include <stdexcept>

namespace faultline::demo::elf {
namespace {

constexpr std::uint64_t kAlignment = 16;

/// Collects strings and numbers for the stack's end, the first at the lowest address. The vectors point to them.
class Composer {
public:
    /// Adds bytes, and returns their offset from the first.
    std::size_t add(std::span<const std::byte> bytes) {
        const std::size_t at = information_.size();
        information_.insert(information_.end(), bytes.begin(), bytes.end());
        return at;
    }
    std::size_t add(const std::string& text) { return add(std::as_bytes(std::span{text.c_str(), text.size() + 1})); }

    [[nodiscard]] std::vector<std::byte>& information() noexcept { return information_; }

private:
    std::vector<std::byte> information_;
};

std::vector<std::size_t> add_all(Composer& composer, const std::vector<std::string>& texts) {
    std::vector<std::size_t> places;
    places.reserve(texts.size());
    for (const std::string& text : texts) places.push_back(composer.add(text));
    return places;
}

}  // namespace

InitialStack make_initial_stack(const StackStart& start, std::uint64_t end, std::size_t most) {
    Composer composer;
    const std::size_t random = composer.add(start.random);
    const std::size_t platform = composer.add(start.platform);
    const std::vector<std::size_t> arguments = add_all(composer, start.arguments);
    const std::vector<std::size_t> environment = add_all(composer, start.environment);
    const std::size_t executable = composer.add(start.executable);
    std::vector<std::byte>& information = composer.information();
    information.resize((information.size() + kAlignment) / kAlignment * kAlignment);  // padding, at least one zero byte
    if (information.size() > most) throw std::invalid_argument("arguments and environment are too long for the stack");
    const std::uint64_t base = end - information.size();

    std::vector<std::uint64_t> vectors{start.arguments.size()};
    for (const std::size_t place : arguments) vectors.push_back(base + place);
    vectors.push_back(0);
    for (const std::size_t place : environment) vectors.push_back(base + place);
    vectors.push_back(0);
    const auto say = [&](std::uint64_t type, std::uint64_t value) { vectors.insert(vectors.end(), {type, value}); };
    for (const auto& [type, value] : start.auxiliary) say(type, value);
    say(AT_RANDOM, base + random);
    say(AT_PLATFORM, base + platform);
    say(AT_EXECFN, base + executable);
    say(AT_NULL, 0);
    if (vectors.size() % 2 != 0) vectors.push_back(0);  // so that the vectors begin at a multiple of 16

    const std::span<const std::byte> below = std::as_bytes(std::span{vectors});
    if (below.size() > most - information.size()) {
        throw std::invalid_argument("arguments and environment are too long for the stack");
    }
    InitialStack stack;
    stack.pointer = base - below.size();
    stack.bytes.assign(below.begin(), below.end());
    stack.bytes.insert(stack.bytes.end(), information.begin(), information.end());
    return stack;
}

}  // namespace faultline::demo::elf
