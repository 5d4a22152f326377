// The descriptors that the process has for itself, beside those of the program in it: a program that closes everything
// it does not know must not take the swap file away.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace faultline::demo::guest {

/// Used by one thread. Throws std::system_error where /proc is not there.
class HostDescriptors {
public:
    /// All that are open now are the program's.
    HostDescriptors() : before_{open_now()} {}

    /// Low numbers are the program's to have: until it is destroyed, new descriptors get high ones.
    class OnlyHigh {
    public:
        OnlyHigh();
        ~OnlyHigh();
        OnlyHigh(const OnlyHigh&) = delete;
        OnlyHigh& operator=(const OnlyHigh&) = delete;

    private:
        std::vector<int> fillers_;
    };

    /// What has been opened since `remember`, or since the beginning, is the process's.
    void claim();
    /// What has been opened since the last of all these was the program.
    void remember() { before_ = open_now(); }

    [[nodiscard]] bool has(std::uint64_t descriptor) const noexcept;

    /// close_range(2) of the program's own.
    [[nodiscard]] long close_range(std::uint64_t first, std::uint64_t last, std::uint64_t flags) const noexcept;

private:
    [[nodiscard]] static std::set<unsigned> open_now();

    std::set<unsigned> before_;
    std::set<unsigned> mine_;
};

}  // namespace faultline::demo::guest
