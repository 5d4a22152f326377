// CloneRequest: the arguments of clone(2), clone3(2), fork(2) and vfork(2) in one form.
#pragma once

#include "preload/calls.hpp"
#include "preload/program_memory.hpp"

#include <cstdint>
#include <optional>

namespace faultline::preload {

struct CloneRequest {
    std::uint64_t flags = 0;  ///< CLONE_*, without the exit signal
    std::uint64_t exit_signal = 0;
    std::uint64_t stack_end = 0;  ///< 0: the caller's stack pointer
    std::uint64_t parent_id = 0;  ///< address for CLONE_PARENT_SETTID
    std::uint64_t child_id = 0;   ///< address for CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID
    std::uint64_t tls = 0;        ///< the child's FS, for CLONE_SETTLS

    /// Returns nothing if the call is none of these, or has a structure that this library does not know.
    [[nodiscard]] static std::optional<CloneRequest> of(const Call& call) noexcept;

    /// Stores a thread's id where the call wants it. Ignores a bad address, as the kernel does.
    static void store_id(std::uint64_t address, long id) noexcept {
        if (!permits(address, sizeof(std::int32_t), PinFor::writing)) return;
        *pointer<volatile std::int32_t>(address) = static_cast<std::int32_t>(id);
    }

    [[nodiscard]] bool has(std::uint64_t flag) const noexcept { return (flags & flag) != 0; }
};

}  // namespace faultline::preload
