#include "heap_paging/measured.hpp"

#include "support/system_call.hpp"
#include "sys/file_descriptor.hpp"
#include "vs_kernel/system_file.hpp"

#include <faultline/heap.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <string>

namespace bench {
namespace {

struct Swapped {
    std::uint64_t out = 0;
    std::uint64_t in = 0;
};

Swapped swapped_by_kernel() {
    Swapped all;
    std::istringstream lines{read_system_file("/proc/vmstat")};
    std::string name;
    std::uint64_t pages = 0;
    while (lines >> name >> pages) {
        if (name == "pswpout") all.out = pages * faultline::kBasePageBytes;
        if (name == "pswpin") all.in = pages * faultline::kBasePageBytes;
    }
    return all;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void run_on_faultline(const PagingOptions& options, const Program& program, Measured& measured) {
    const auto start = std::chrono::steady_clock::now();
    faultline::Config config;
    config.resident_limit = options.limit_bytes;
    config.delivery = options.delivery;
    config.swap_directory = options.swap_directory;
    faultline::Pager pager{config};
    faultline::Heap heap{pager};
    Allocator allocator;
    allocator.context = &heap;
    allocator.allocate = [](void* context, std::size_t bytes) {
        return static_cast<faultline::Heap*>(context)->try_allocate(bytes);
    };
    allocator.deallocate = [](void* context, void* block) {
        static_cast<faultline::Heap*>(context)->deallocate(block);
    };
    program(allocator, measured);
    measured.seconds = seconds_since(start);
    const faultline::PagerStats stats = pager.stats();
    measured.bytes_written = stats.bytes_written;
    measured.bytes_read = stats.bytes_read;
}

void run_on_kernel(const MemoryCgroup& cgroup, const Program& program, Measured& measured) {
    cgroup.join();
    const Swapped before = swapped_by_kernel();
    const auto start = std::chrono::steady_clock::now();
    program(c_library(), measured);
    measured.seconds = seconds_since(start);
    const Swapped after = swapped_by_kernel();
    measured.bytes_written = after.out - before.out;
    measured.bytes_read = after.in - before.in;
}

Measured run(System system, const PagingOptions& options, const MemoryCgroup& cgroup, const Program& program) {
    Measured measured;
    try {
        if (system == System::faultline) {
            run_on_faultline(options, program, measured);
        } else {
            run_on_kernel(cgroup, program, measured);
        }
    } catch (const std::exception& error) {
        std::snprintf(measured.failure.data(), measured.failure.size(), "%s", error.what());
    }
    return measured;
}

/// Kills the process unless it has ended.
class Child {
public:
    explicit Child(pid_t pid) noexcept : pid_{pid} {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (!ended_) ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) == -1 && errno == EINTR) {
        }
    }
    void has_ended() noexcept { ended_ = true; }

private:
    pid_t pid_;
    bool ended_ = false;
};

}  // namespace

Measured measure(System system, const PagingOptions& options, const MemoryCgroup& cgroup, const Interrupt& interrupt,
                 const Program& program) {
    int ends[2] = {-1, -1};
    check(::pipe2(ends, O_CLOEXEC), "pipe");
    const faultline::sys::FileDescriptor read_end{ends[0]};
    faultline::sys::FileDescriptor write_end{ends[1]};
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        // The child must not outlive its parent: it would keep the cgroup and the swap area in use.
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || ::getppid() != parent) ::_exit(1);
        Interrupt::restore_default();
        const Measured measured = run(system, options, cgroup, program);
        ::_exit(::write(write_end.get(), &measured, sizeof measured) == ssize_t{sizeof measured} ? 0 : 1);
    }
    Child child{pid};
    write_end.reset();
    interrupt.wait_readable(read_end.get());
    Measured measured;
    const ssize_t got = check(::read(read_end.get(), &measured, sizeof measured), "read from a child");
    child.has_ended();
    const char* const name = system == System::faultline ? "faultline" : "glibc under kernel swap";
    if (got != ssize_t{sizeof measured}) throw std::runtime_error(std::string(name) + ": its process was killed");
    if (measured.failure[0] != 0) throw std::runtime_error(std::string(name) + ": " + measured.failure.data());
    return measured;
}

}  // namespace bench
