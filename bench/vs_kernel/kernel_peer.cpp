// See kernel_peer.hpp.
#include "vs_kernel/kernel_peer.hpp"

#include <unistd.h>

#include <stdexcept>

#include "vs_kernel/leftovers.hpp"
#include "vs_kernel/report.hpp"
#include "vs_kernel/unnamed_file.hpp"

namespace bench {
namespace {

Journal open_journal() {
    if (::geteuid() != 0) throw std::runtime_error{"a memory cgroup and a swap area need root"};
    return Journal{};
}

}  // namespace

KernelPeer::KernelPeer(const std::string& name, const Options& options, Journal& journal)
    : name_{name},
      bytes_{options.size},
      cgroup_{journal, options.resident_of_peers() + cgroup_allowance(options.size)} {
    if (name == "swap") swap_file_.emplace(journal, options.swap_directory, swap_bytes_for(options.size));
    if (name == "zram") zram_.emplace(journal, swap_bytes_for(options.size));
    if (name == "mmap") mapped_file_ = open_unnamed_file(options.swap_directory, options.size, 0);
}

std::unique_ptr<Memory> KernelPeer::make_memory() const {
    cgroup_.join();
    return make_kernel_memory(bytes_, mapped_file_.get());
}

KernelPeers::KernelPeers() : journal_{open_journal()} { remove_leftovers(journal_); }

std::string KernelPeers::conditions(const Options& options) const {
    return "Kernel peers: cgroup limit " + bytes_text(cgroup_allowance(options.size)) + " above what is resident" +
           (options.same_total ? " and compressed" : "") +
           ", for the process and its page tables.\n"
           "CPU time is that of the process; the kernel's own threads (kswapd, write-back) are not in it.\n";
}

std::unique_ptr<Peer> KernelPeers::make(const std::string& name, const Options& options) {
    return std::make_unique<KernelPeer>(name, options, journal_);
}

}  // namespace bench
