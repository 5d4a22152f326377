// HostDescriptors: which descriptors belong to the process, and which to the program in it. A program that closes all
// descriptors it does not know must not close the swap file. Guest asks it on close and similar calls.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace faultline::demo::guest {

/// Used by one thread. The constructor throws std::system_error without /proc.
class HostDescriptors {
public:
    /// All descriptors that are open now belong to the program.
    HostDescriptors() : before_{open_now()} {}

    /// While it lives, new descriptors get high numbers, so that the program can use the low ones.
    class OnlyHigh {
    public:
        OnlyHigh();
        ~OnlyHigh();
        OnlyHigh(const OnlyHigh&) = delete;
        OnlyHigh& operator=(const OnlyHigh&) = delete;

    private:
        std::vector<int> fillers_;
    };

    /// Assigns the descriptors opened since `remember`, or since the construction, to the process.
    void claim();
    /// Assigns the descriptors opened since the last of these calls to the program.
    void remember() { before_ = open_now(); }

    [[nodiscard]] bool has(std::uint64_t descriptor) const noexcept;

    /// Does close_range(2) for the program's own descriptors only.
    [[nodiscard]] long close_range(std::uint64_t first, std::uint64_t last, std::uint64_t flags) const noexcept;

private:
    [[nodiscard]] static std::set<unsigned> open_now();

    std::set<unsigned> before_;
    std::set<unsigned> mine_;
};

}  // namespace faultline::demo::guest
