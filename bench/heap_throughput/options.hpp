// The command line of heap_throughput.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct HeapOptions {
    double seconds = 0.5;  ///< How long one workload runs in one round.
    unsigned rounds = 5;
    unsigned threads = 2;
    std::size_t limit_bytes = std::size_t{4} << 30;  ///< More than the workloads need, so that no page is evicted.
    faultline::Delivery delivery = faultline::Delivery::automatic;
    std::vector<std::string> peers{"libjemalloc.so.2", "libmimalloc.so.2"};
    bool processor_time = false;
    std::string only;  ///< Run only this workload; empty: all.
};

/// Parses the command line. Returns an exit code if the program must end at once, else -1.
int parse(int argc, char** argv, HeapOptions& options);

}  // namespace bench
