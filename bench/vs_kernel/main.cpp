// vs_kernel: compares faultline with the kernel's paging on the same work under the same limit. See bench/README.md.
#include "vs_kernel/kernel_peer.hpp"
#include "vs_kernel/run_all.hpp"

int main(int argc, char** argv) {
    const bench::Program program{
        "vs_kernel",
        "The same work on faultline and on the kernel's own paging, under the same memory limit, in one run.\n"
        "Rounds of the two systems alternate; the table compares medians. Set-up of the kernel's side (memory cgroup,\n"
        "swap file, zram device) needs root; a peer that cannot be had is skipped with the reason.",
        {"swap", "mmap", "zram"}};
    return bench::run_program(program.name, bench::parse_options(program, argc, argv),
                              [] { return std::make_unique<bench::KernelPeers>(); });
}
