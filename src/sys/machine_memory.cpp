#include "sys/machine_memory.hpp"

#include "sys/error.hpp"
#include "sys/mapping.hpp"

namespace faultline::sys {

std::string lower_to_machine_memory(const char* name, std::size_t& bytes) {
    const std::size_t memory = physical_memory();
    if (memory == 0 || bytes <= memory) return {};  // 0: the system does not tell
    std::string warning = std::string(name) + " of " + readable_bytes(bytes) + " is more than the " +
                          readable_bytes(memory) + " of this machine, and is lowered to that";
    bytes = memory;
    return warning;
}

}  // namespace faultline::sys
