#include "sys/valgrind.hpp"

#include <array>
#include <cstdint>

namespace faultline::sys {

bool runs_under_valgrind() noexcept {
    constexpr std::uint64_t kRunningOnValgrind = 0x1001;
    const std::array<std::uint64_t, 6> request{kRunningOnValgrind};
    std::uint64_t answer = 0;
    // Rotates by 128 bits in total and exchanges a register with itself: no effect on a CPU.
    asm volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
                 : "=d"(answer)
                 : "a"(request.data()), "0"(answer)
                 : "cc", "memory");
    return answer != 0;
}

}  // namespace faultline::sys
