// Composes the initial stack of a program: argc, argv, envp and the auxiliary vector, as the System V ABI for x86-64
// (3.4.1) defines it. The bytes are in ordinary memory; the caller copies them to the program's stack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace faultline::demo::elf {

/// What the program finds on its stack.
struct StackStart {
    std::vector<std::string> arguments;    ///< argv; argv[0] first.
    std::vector<std::string> environment;  ///< envp: "NAME=value".
    std::string executable;                ///< AT_EXECFN.
    std::string platform = "x86_64";       ///< AT_PLATFORM.
    std::array<std::byte, 16> random{};    ///< AT_RANDOM.

    /// The rest of the auxiliary vector, without AT_NULL.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> auxiliary;
};

/// The stack's contents.
struct InitialStack {
    std::uint64_t pointer = 0;     ///< The initial stack pointer, a multiple of 16; argc is at this address.
    std::vector<std::byte> bytes;  ///< The bytes from `pointer` up to the stack's end.
};

/// Composes a stack that ends at `end`, a multiple of 16. Throws std::invalid_argument if it takes more than `most`
/// bytes.
[[nodiscard]] InitialStack make_initial_stack(const StackStart& start, std::uint64_t end, std::size_t most);

}  // namespace faultline::demo::elf
