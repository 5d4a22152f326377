// See peer.hpp.
#include "vs_kernel/peer.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "support/system_call.hpp"

namespace bench {
namespace {

// Without a name, so that it needs no removing; its blocks are allotted, as those of a swap file are.
FileDescriptor open_mapped_file(const Options& options) {
    const std::string directory = options.swap_directory.string();
    FileDescriptor file{check(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                              "open of an unnamed file in " + directory)};
    check(::ftruncate(file.get(), static_cast<off_t>(options.size)), "ftruncate in " + directory);
    if (::fallocate(file.get(), 0, 0, static_cast<off_t>(options.size)) == -1 && errno != EOPNOTSUPP) {
        throw_errno("fallocate of " + std::to_string(options.size) + " bytes in " + directory);
    }
    return file;
}

}  // namespace

Peer::Peer(const std::string& name, const Options& options, Journal& journal)
    : name_{name}, cgroup_{journal, options.resident + cgroup_allowance(options.size)} {
    if (name == "swap") swap_file_.emplace(journal, options.swap_directory, swap_bytes_for(options.size));
    if (name == "zram") zram_.emplace(journal, swap_bytes_for(options.size));
    if (name == "mmap") mapped_file_ = open_mapped_file(options);
}

}  // namespace bench
