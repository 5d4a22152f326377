// The stack that a program finds when it begins: argc, argv, envp and the auxiliary vector, as the System V ABI for
// x86-64 has it (3.4.1). Composed in ordinary memory; whoever has the stack copies it there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace faultline::demo::elf {

struct StackStart {
    std::vector<std::string> arguments;    ///< argv[0] first.
    std::vector<std::string> environment;  ///< "NAME=value".
    std::string executable;                ///< AT_EXECFN.
    std::string platform = "x86_64";       ///< AT_PLATFORM.
    std::array<std::byte, 16> random{};    ///< AT_RANDOM.

    /// The rest of the auxiliary vector, without AT_NULL.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> auxiliary;
};

struct InitialStack {
    std::uint64_t pointer = 0;     ///< What the stack pointer is to be, a multiple of 16: argc is there.
    std::vector<std::byte> bytes;  ///< From `pointer` up to the stack's end.
};

/// For a stack that ends at `end`, a multiple of 16. Throws std::invalid_argument when it takes more than `most` bytes.
[[nodiscard]] InitialStack make_initial_stack(const StackStart& start, std::uint64_t end, std::size_t most);

}  // namespace faultline::demo::elf
