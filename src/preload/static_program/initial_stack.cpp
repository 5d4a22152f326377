#include "preload/static_program/initial_stack.hpp"

#include <elf.h>

#include <cstring>

namespace faultline::preload {
namespace {

bool names(std::string_view variable, std::string_view name) noexcept {
    return variable.size() > name.size() && variable[name.size()] == '=' && variable.substr(0, name.size()) == name;
}

}  // namespace

InitialStack::InitialStack(const std::vector<const char*>& arguments, const char* const* environment,
                           std::string_view hidden, const ProgramImage& image, const char* path) {
    words_.push_back(arguments.size());
    for (const char* const argument : arguments) add(argument);
    add(nullptr);
    for (; *environment != nullptr; ++environment) {
        if (!names(*environment, hidden)) add(*environment);
    }
    add(nullptr);
    add_auxiliary(reinterpret_cast<const std::uint64_t*>(environment + 1), image, path);  // the kernel puts it there
}

void InitialStack::add_auxiliary(const std::uint64_t* vector, const ProgramImage& image, const char* path) {
    for (; vector[0] != AT_NULL; vector += 2) {
        std::uint64_t value = vector[1];
        switch (vector[0]) {
            case AT_PHDR:
                value = image.program_headers();
                break;
            case AT_PHNUM:
                value = image.program_header_count();
                break;
            case AT_ENTRY:
                value = image.entry();
                break;
            case AT_BASE:
                value = 0;
                break;
            case AT_EXECFN:
                value = reinterpret_cast<std::uint64_t>(path);
                break;
            default:
                break;
        }
        words_.push_back(vector[0]);
        words_.push_back(value);
    }
    words_.push_back(AT_NULL);
    words_.push_back(0);
}

void InitialStack::copy_to(void* stack) const noexcept { std::memcpy(stack, words_.data(), bytes()); }

}  // namespace faultline::preload
