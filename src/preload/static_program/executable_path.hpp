// ExecutablePath: the path of a static program. The kernel's link /proc/self/exe names the launcher. The calls that
// read the link, open it or execute it get the program's own path.
#pragma once

#include "preload/calls.hpp"

#include <cstdint>
#include <optional>

namespace faultline::preload {

class ExecutablePath {
public:
    /// `path`: an absolute path of the program that runs in this process. Must live as long as the process.
    static void set(const char* path) noexcept { path_ = path; }

    /// Returns the program's path if the text at `address` is that of the link; null if not, or in a process that is no
    /// static program. Signal-safe.
    [[nodiscard]] static const char* replacement_for(std::uint64_t address) noexcept;

    /// Returns true if the text at `address` begins with a slash. Signal-safe.
    [[nodiscard]] static bool is_absolute(std::uint64_t address) noexcept;

    /// Answers readlink(2) of the link, and changes open(2) of it. Returns nothing if the kernel is to make the call.
    [[nodiscard]] static std::optional<long> answer(Call& call) noexcept;

private:
    static inline constinit const char* path_ = nullptr;
};

}  // namespace faultline::preload
