// An alternate signal stack with known bytes below it, which show writes beyond its end.
#pragma once

#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace faultline::test {

/// Is the calling thread's alternate stack while it lives.
class SmallStack {
public:
    /// The kernel refuses smaller stacks (MINSIGSTKSZ), also on a CPU whose signal frame would fit.
    static constexpr std::size_t kLeast = 2048;

    explicit SmallStack(std::size_t bytes) : bytes_{std::max(bytes, kLeast)} {
        void* const mapped = ::mmap(nullptr, kAll, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        memory_ = static_cast<std::byte*>(mapped);
        std::fill(memory_, begin(), kCanary);
        stack_t next{};
        next.ss_sp = begin();
        next.ss_size = bytes_;
        if (::sigaltstack(&next, &previous_) != 0) {
            throw std::system_error(errno, std::generic_category(), "sigaltstack");
        }
    }
    ~SmallStack() {
        previous_.ss_flags &= ~SS_ONSTACK;
        ::sigaltstack(&previous_, nullptr);
        ::munmap(memory_, kAll);
    }
    SmallStack(const SmallStack&) = delete;
    SmallStack& operator=(const SmallStack&) = delete;

    [[nodiscard]] std::byte* begin() const noexcept { return end() - bytes_; }
    [[nodiscard]] std::byte* end() const noexcept { return memory_ + kAll; }

    /// Returns how far below the stack a byte was written.
    [[nodiscard]] std::size_t overrun_bytes() const noexcept {
        const std::byte* const lowest = std::find_if(memory_, begin(), [](std::byte byte) { return byte != kCanary; });
        return static_cast<std::size_t>(begin() - lowest);
    }

private:
    static constexpr std::size_t kAll = std::size_t{128} << 10;
    static constexpr std::byte kCanary{0xc5};

    std::size_t bytes_;
    std::byte* memory_ = nullptr;
    stack_t previous_{};
};

namespace small_stack {

inline std::uintptr_t frame = 0;
inline void note_frame(int, siginfo_t*, void* context) { frame = reinterpret_cast<std::uintptr_t>(context) - 8; }

inline std::size_t measure_frame() {
    struct sigaction noting {};
    struct sigaction previous {};
    noting.sa_sigaction = &note_frame;
    noting.sa_flags = SA_SIGINFO | SA_ONSTACK;
    const SmallStack large{std::size_t{64} << 10};
    ::sigaction(SIGUSR2, &noting, &previous);
    ::raise(SIGUSR2);
    ::sigaction(SIGUSR2, &previous, nullptr);
    return reinterpret_cast<std::uintptr_t>(large.end()) - frame;
}

}  // namespace small_stack

/// Returns the bytes of an alternate stack that the kernel's signal frame takes, if the stack ends at a page boundary.
inline std::size_t signal_frame_bytes() {
    static const std::size_t bytes = small_stack::measure_frame();  // measured once, with a signal to the process
    return bytes;
}

/// Room for the frames of a program's own handler, which may leave by siglongjmp. AddressSanitizer intercepts that, and
/// its function needs more than 4 KiB.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kForAHandler = 16384;
#else
constexpr std::size_t kForAHandler = 2048;
#endif

/// Returns the kernel's minimum stack size for a signal frame, with all registers.
inline std::size_t least_stack_bytes() { return ::getauxval(AT_MINSIGSTKSZ); }

}  // namespace faultline::test
