#include "sys/cpu.hpp"

#include <sched.h>

#include <thread>

namespace faultline::sys {

unsigned allowed_cpus() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0) {
        const int count = CPU_COUNT(&set);
        if (count > 0) return static_cast<unsigned>(count);
    }
    const unsigned hardware = std::thread::hardware_concurrency();  // more CPUs than a cpu_set_t holds
    return hardware > 0 ? hardware : 1;
}

}  // namespace faultline::sys
