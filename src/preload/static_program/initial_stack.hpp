// InitialStack: what a program finds on its stack at its first instruction: the arguments, the environment and the
// auxiliary vector. It is made from what the kernel put on the launcher's stack; the texts stay there.
#pragma once

#include "preload/static_program/program_image.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace faultline::preload {

class InitialStack {
public:
    /// `environment`: the launcher's, at the place where the kernel put it. Leaves out the variable `hidden`.
    /// `arguments` and `path` must live as long as the program.
    InitialStack(const std::vector<const char*>& arguments, const char* const* environment, std::string_view hidden,
                 const ProgramImage& image, const char* path);

    [[nodiscard]] std::size_t bytes() const noexcept { return words_.size() * sizeof(std::uint64_t); }

    /// Copies the words to `stack`, which is aligned to 16 bytes.
    void copy_to(void* stack) const noexcept;

private:
    void add(const char* text) { words_.push_back(reinterpret_cast<std::uint64_t>(text)); }
    void add_auxiliary(const std::uint64_t* vector, const ProgramImage& image, const char* path);

    std::vector<std::uint64_t> words_;
};

}  // namespace faultline::preload
