// AllMappings: takes all remaining mappings of the process (vm.max_map_count) while it lives. For child processes,
// because every other mmap of the process fails, too.
#pragma once

#include <faultline/types.hpp>

#include <sys/mman.h>

#include <cstddef>

namespace faultline::test {

class AllMappings {
public:
    AllMappings()
        : memory_{static_cast<std::byte*>(
              ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))} {
        for (std::size_t offset = 0; offset < kBytes; offset += 2 * kBasePageBytes) {
            if (::mprotect(memory_ + offset, kBasePageBytes, PROT_READ) != 0) return;
        }
    }
    ~AllMappings() { ::munmap(memory_, kBytes); }
    AllMappings(const AllMappings&) = delete;
    AllMappings& operator=(const AllMappings&) = delete;

private:
    static constexpr std::size_t kBytes = std::size_t{1} << 30;
    std::byte* memory_;
};

}  // namespace faultline::test
