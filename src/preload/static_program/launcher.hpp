// Launcher: starts static programs by the launcher in place of exec. The launcher gets the program's arguments, and the
// program's path in a variable of its environment.
#pragma once

#include <array>
#include <climits>
#include <cstddef>

namespace faultline::preload {

class Launcher {
public:
    /// Finds the launcher's file, beside this library. Call once, at the start.
    static void remember() noexcept;

    /// Returns true if static programs can be started. Signal-safe.
    [[nodiscard]] static bool can_start() noexcept;

    /// Returns the path of the launcher's file. Signal-safe.
    [[nodiscard]] static const char* path() noexcept;
};

/// The environment of a launcher. The lists lie where the caller wants them, because memory that a child of vfork
/// allocates would remain allocated in its parent. Signal-safe.
class LauncherEnvironment {
public:
    /// `program`: a path of less than PATH_MAX bytes.
    explicit LauncherEnvironment(const char* program) noexcept;

    /// Returns how many pointers a list with the variable needs.
    [[nodiscard]] static std::size_t room(char* const* environment) noexcept;

    /// Stores `environment` and the variable in `list`. The list refers to this object. Returns it.
    char* const* put_in(char** list, char* const* environment) noexcept;

private:
    static constexpr std::size_t kForName = 32;
    std::array<char, kForName + PATH_MAX> variable_;
};

}  // namespace faultline::preload
