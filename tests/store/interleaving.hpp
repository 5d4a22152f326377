// Runs a function one instruction at a time and lets another thread run in between. So a test tries every point at
// which a thread can be interrupted, without luck. x86-64 only (the trap flag).
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace faultline::test {

inline int this_thread_id() { return static_cast<int>(::syscall(SYS_gettid)); }

/// Returns true if a thread of this process sleeps in the kernel or has ended.
inline bool asleep_or_gone(int thread) {
    const int file = ::open(("/proc/self/task/" + std::to_string(thread) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return true;
    std::array<char, 512> text{};
    const ssize_t length = ::read(file, text.data(), text.size());  // fails if the thread has just ended
    ::close(file);
    const std::string_view line{text.data(), length < 0 ? 0 : static_cast<std::size_t>(length)};
    const std::size_t name_end = line.rfind(')');
    return name_end == std::string_view::npos || line.substr(name_end + 1, 2) == " S";
}

#if defined(__x86_64__)

class Interruption {
public:
    /// Runs `traced`, and calls `interrupt` on the same thread after `instructions` instructions. Returns false if
    /// `traced` has fewer.
    static bool after(std::uint64_t instructions, const std::function<void()>& traced,
                      const std::function<void()>& interrupt) {
        left_ = instructions;
        interrupt_ = &interrupt;
        struct sigaction action {};
        struct sigaction before {};
        action.sa_sigaction = &Interruption::on_trap;
        action.sa_flags = SA_SIGINFO;
        ::sigaction(SIGTRAP, &action, &before);
        set_trap_flag();
        traced();
        clear_trap_flag();
        ::sigaction(SIGTRAP, &before, nullptr);
        return left_ == 0;
    }

private:
    static constexpr std::uint64_t kTrapFlag = 0x100;

    static void set_trap_flag() { asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc"); }
    static void clear_trap_flag() { asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc"); }

    static void on_trap(int, siginfo_t*, void* context) {
        if (left_ > 0 && --left_ > 0) return;
        auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        registers[REG_EFL] &= ~static_cast<greg_t>(kTrapFlag);
        (*interrupt_)();
    }

    static inline std::uint64_t left_ = 0;
    static inline const std::function<void()>* interrupt_ = nullptr;
};

#endif

}  // namespace faultline::test
